from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spark_jobs import ingest
from spark_jobs.tables.contacts import EMAIL, PHONE, scrubbed

NIGHT = "2026-11-10"
CASES = {
    "write to ada.l+x@mail.example.co.uk, please": "write to [email], please",
    "<a@b.io>": "<[email]>",
    "call +49 170 1234567 now": "call [phone] now",
    "+44 (0)20 7946 0958": "[phone]",
    "0049-30-1234567": "[phone]",
    "(030) 123456 78": "[phone]",
    "0170/1234567": "[phone]",
    "555-123-4567 or (555) 123-4567": "[phone] or [phone]",
    "手机13812345678。": "手机[phone]。",
    "手机 138 1234 5678。": "手机 [phone]。",
    "at a@b.io or 01701234567": "at [email] or [phone]",
    # What is none.
    "2026-11-09 10:00": "2026-11-09 10:00",
    "2026-11-09T10:00:00.123Z": "2026-11-09T10:00:00.123Z",
    "1999-2005, 12.50, 1,234,567.00": "1999-2005, 12.50, 1,234,567.00",
    "1731146400": "1731146400",
    "item 20261109000123": "item 20261109000123",
    "0.123456789": "0.123456789",
    "10:00:00 to 12:00:00": "10:00:00 to 12:00:00",
    "a @ b, x@y": "a @ b, x@y",
    "3.14159265358979": "3.14159265358979",
}


def test_what_is_a_contact_and_what_is_not():
    found = {t: re.sub(PHONE, "[phone]", re.sub(EMAIL, "[email]", t)) for t in CASES}
    assert found == CASES


@pytest.mark.spark
def test_java_reads_the_expressions_as_python_does(spark):
    from pyspark.sql import functions as F

    rows = spark.createDataFrame([(t,) for t in [*CASES, None]], "text string")
    found = [r[0] for r in rows.select(scrubbed(F.col("text"))).collect()]
    assert found == [*CASES.values(), None]


@pytest.mark.spark
def test_texts_and_contexts_are_scrubbed_and_counted_where_the_setting_says(
    spark, logs, impression, event, items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MRLM_USER_KEY", "a key for the tests")
    logs.write(
        NIGHT,
        impressions=[
            impression("r1", context={"asked": "mail me: ada@example.org", "hour": "10"}),
            impression("r2", context={"hour": "11"}),
        ],
        feedback=[event("e1", "r1")],
        items=[*items("a", text="Call 0170 1234567"), *items("b")],
    )
    counts = ingest.run(spark, logs.job(NIGHT, scrub_contacts=True))
    out = tmp_path / "out" / NIGHT
    assert counts["scrubbed"] == {"impressions": 1, "items": 1}
    rows = pq.read_table(out / "impressions", partitioning=None).sort_by("request_id").to_pylist()
    assert [dict(r["context"]) for r in rows] == [
        {"asked": "mail me: [email]", "hour": "10"},
        {"hour": "11"},
    ]
    texts = pq.read_table(out / "catalog", partitioning=None).sort_by("item_id")["text"].to_pylist()
    assert texts == ["Call [phone]", "Item b"]
