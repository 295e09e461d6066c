"""Rows of people who were forgotten are dropped and counted, and nothing of them is kept."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.log_checks.delivery import event_rows
from mrlm.privacy.person import pseudonym_of, salted
from spark_jobs import ingest
from spark_jobs.ingestion.ingest_job import IngestJob
from spark_jobs.preview import preview
from spark_jobs.tables.forgotten_rows import ForgottenRows
from tests.pipelines.forgetting import holding

pytestmark = pytest.mark.spark

FIRST, NIGHT, NEXT = "2026-11-09", "2026-11-10", "2026-11-11"
KEY, SALT = b"a key for the tests", "salt"
TEXT = "a planted text"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MRLM_USER_KEY", KEY.decode())


def rows_of(folder: Path) -> list[dict[str, object]]:
    return pq.read_table(folder, partitioning=None).to_pylist()


def test_they_are_dropped_counted_and_not_kept(spark, logs, impression, event, items, tmp_path):
    theirs = {"user_id": "user-secret-9", "context": {"said": TEXT}}
    logs.write(
        NIGHT,
        impressions=[
            impression("theirs-1", **theirs),
            impression("theirs-1", **theirs, position=2, item_id="b"),
            # The reason is this one whatever else is wrong, or its text would be kept.
            impression("theirs-2", **theirs, propensity=7),
            impression("theirs-3", **theirs, ts="2026-11-01T10:00:00Z"),
            impression("others"),
        ],
        feedback=[
            event("e1", "theirs-1"),
            event("e2", "theirs-2", value="much " + TEXT),
            event("e3", "theirs-0", event="buy"),
            event("e4", "others"),
            event("e5", "nobody"),
        ],
        items=items("a", "b"),
    )
    list_of = tmp_path / "list"
    list_of.mkdir()
    table = {"request": [salted(SALT, "theirs-0")]}
    pq.write_table(pa.table(table), list_of / "part-0.parquet")
    users = (salted(SALT, pseudonym_of(KEY, "user-secret-9")),)
    forgotten = ForgottenRows(SALT, users, (str(list_of),))
    job = logs.job(NIGHT, forgotten=forgotten)
    assert IngestJob.from_json(job.to_json()) == job
    counts = ingest.run(spark, job)

    assert counts["impressions"] == {
        "raw": 5,
        "clean": 1,
        "duplicate": 0,
        "late": 0,
        "quarantined": {"forgotten": 4},
    }
    assert counts["feedback"] == {
        "raw": 5,
        "clean": 2,
        "duplicate": 0,
        "late": 0,
        "quarantined": {"forgotten": 3},
    }
    shown = preview(spark, job, 100)
    assert [r["request_id"] for r in shown["impressions"]] == ["others"]
    assert [r["event_id"] for r in shown["feedback"]] == ["e4", "e5"]
    # They arrived: nothing is missing from the delivery, and nothing is in doubt.
    for name, number in (("click", 2), ("buy", 1)):
        found = event_rows(counts["events"], name)
        assert found.forgotten == number
        assert found.placed == found.unplaced == 0
        assert found.events == number + found.clean
    out = tmp_path / "out" / NIGHT
    pseudonym = pseudonym_of(KEY, "user-secret-9")
    assert not holding(out, "user-secret-9", pseudonym, "theirs-", TEXT)
    quarantined = rows_of(out / "quarantine")
    assert [r["raw"] for r in quarantined] == [None] * 7
    assert all(r["line"] and r["file"] for r in quarantined)
    hashes = {salted(SALT, f"theirs-{i}") for i in (1, 2, 3)}
    assert {r["request"] for r in rows_of(out / "forgotten")} == hashes
    assert rows_of(out / "left_out") == []
    assert rows_of(out / "unread") == []

    # Their events of the night after belong to requests that are known by their hash alone.
    logs.write(
        NEXT,
        impressions=[impression("later", ts="2026-11-11T10:00:00Z")],
        feedback=[event("e6", "theirs-3", event="buy"), event("e7", "others", event="buy")],
        items=[],
    )
    known = ForgottenRows(SALT, users, (str(list_of), str(out / "forgotten")))
    counts = ingest.run(spark, logs.job(NEXT, [NIGHT], forgotten=known))
    assert counts["feedback"]["quarantined"] == {"forgotten": 1}
    assert counts["feedback"]["clean"] == 1
    assert not holding(tmp_path / "out", "user-secret-9", pseudonym, "theirs-", TEXT)


@pytest.mark.long
def test_without_the_settings_nothing_is_dropped_or_changed(
    spark, logs, impression, event, items, tmp_path
):
    said = impression("r1", context={"asked": "mail me: ada@example.org"})
    logs.write(NIGHT, impressions=[said], feedback=[event("e1", "r1")], items=items("a", "b"))
    counts = ingest.run(spark, logs.job(NIGHT))
    assert not (tmp_path / "out" / NIGHT / "forgotten").exists()
    assert not {"forgotten", "scrubbed"} & set(re.findall(r"\w+", json.dumps(counts)))
    (row,) = rows_of(tmp_path / "out" / NIGHT / "impressions")
    assert dict(row["context"]) == {"asked": "mail me: ada@example.org"}


def test_a_job_without_a_list_is_written_and_read():
    assert (
        ForgottenRows.from_dict(json.loads(json.dumps(asdict(ForgottenRows())))) == ForgottenRows()
    )
