from __future__ import annotations

import csv
import datetime as dt
import hashlib
import hmac
import json
import stat
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import Catalog
from spark_jobs import ingest
from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.errors import InputError
from spark_jobs.ingestion.ingest_job import IngestJob, Previous
from spark_jobs.reading.table_files import TableInput
from spark_jobs.tables.pseudonyms import earlier_key_id, key_id

pytestmark = pytest.mark.spark
NIGHT = "2026-11-10"


def rows_of(folder: Path) -> list[dict]:
    return pq.read_table(folder, partitioning=None).to_pylist()


def check_sums(counts: dict) -> None:
    for table in ("impressions", "feedback", "items"):
        c = counts[table]
        assert c["raw"] == c["clean"] + c["duplicate"] + c["late"] + sum(c["quarantined"].values())


BAD_IMPRESSIONS = {
    "unparsable": [
        '{"request_id": "x", "ts"',
        "not json",
        "[1, 2]",
        '"text"',
        # Two rows whose line end was lost: both stay, in one quarantined line.
        '{"request_id": "y", "user_id": "u"}{"request_id": "z", "user_id": "u"}',
        '{"request_id": "y", "user_id": "u"}, {"request_id": "z", "user_id": "u"}',
        '{"request_id": "y", "user_id": "u"} and more',
    ],
    "wrong_type": [
        {"propensity": "high"},
        {"position": "first"},
        {"position": 0},
        {"position": 1.5},
        {"ts": "yesterday"},
        {"ts": "12:30"},
        {"candidates": "a,b"},
        {"candidates": ["a", None]},
        {"candidates": ["a", "a"], "candidate_propensities": None},
        {"candidate_propensities": [1.0]},
        {"candidate_propensities": [0.5, "half"]},
        {"context": [1]},
        {"propensity_kind": "other"},
    ],
    "missing_field": [
        {"request_id": None},
        {"request_id": " "},
        {"ts": None},
        {"item_id": None},
        {"position": None},
    ],
    "null_user": [{"user_id": None}, {"user_id": ""}],
    "missing_propensity": [{"propensity": None}],
    "propensity_out_of_range": [{"propensity": 0}, {"propensity": -0.1}, {"propensity": 1.01}],
    "no_candidates": [
        {"candidates": None, "candidate_propensities": None},
        {"candidates": [], "candidate_propensities": []},
    ],
    "shown_not_in_candidates": [{"item_id": "c"}],
    "unknown_item": [
        {"candidates": ["a", "new"]},
        {"item_id": "new", "candidates": ["a", "new"]},
    ],
    "future_ts": [{"ts": "2026-11-11T00:00:00Z"}],
}
BAD_FEEDBACK = {
    "unparsable": ["{"],
    "wrong_type": [{"value": "five"}, {"ts": "soon"}, {"value": "NaN"}],
    "missing_field": [
        {k: None} for k in ("event_id", "request_id", "item_id", "ts", "event", "value")
    ],
    "future_ts": [{"ts": "2026-11-11T00:00:01Z"}],
}
BAD_ITEMS = {
    "unparsable": ["item"],
    "wrong_type": [{"attributes": "many"}, {"attributes": {"x": "y"}}, {"updated_at": "new"}],
    "missing_field": [{"item_id": None}],
}


def test_every_reason_and_conservation(spark, logs, impression, event, items, tmp_path: Path):
    """One bad row each; every one is found under its reason, with its text, file and line."""
    good = [
        impression("r1"),
        impression(
            "r1", 2, item_id="b", candidates=["b"], candidate_propensities=None, propensity=1
        ),
    ]
    bad, wanted = [], []
    for reason, faults in BAD_IMPRESSIONS.items():
        for i, fault in enumerate(faults):
            line = (
                fault
                if isinstance(fault, str)
                else json.dumps(impression(f"{reason}-{i}", user_id=f"{reason}-{i}") | fault)
            )
            bad.append(line)
            wanted.append(("impressions", reason, line))
    bots = [impression(f"bot{i}", user_id="bot") for i in range(4)]
    bad_events, bad_items = [], []
    for reason, faults in BAD_FEEDBACK.items():
        for i, fault in enumerate(faults):
            line = (
                fault if isinstance(fault, str) else json.dumps(event(f"{reason}{i}", "r1") | fault)
            )
            bad_events.append(line)
            wanted.append(("feedback", reason, line))
    for reason, faults in BAD_ITEMS.items():
        for i, fault in enumerate(faults):
            line = fault if isinstance(fault, str) else json.dumps(items(f"{reason}{i}")[0] | fault)
            bad_items.append(line)
            wanted.append(("items", reason, line))
    wanted += [("impressions", "bot", json.dumps(b)) for b in bots]
    logs.write(
        NIGHT,
        impressions=[good[0], "", *bad, "  ", *bots, good[1]],
        feedback=[event("e1", "r1"), *bad_events],
        items=[*items("a", "b", "c"), *bad_items],
    )
    counts = ingest.run(spark, logs.job(NIGHT, bot_requests_per_night=3))
    check_sums(counts)
    assert counts["impressions"]["clean"] == 2
    assert counts["feedback"]["clean"] == 1
    assert counts["items"]["clean"] == 3
    for table, faults in (
        ("impressions", {**BAD_IMPRESSIONS, "bot": bots}),
        ("feedback", BAD_FEEDBACK),
        ("items", BAD_ITEMS),
    ):
        assert counts[table]["quarantined"] == {k: len(v) for k, v in sorted(faults.items())}

    out = tmp_path / "out" / NIGHT
    found = rows_of(out / "quarantine")
    assert sorted((r["table"], r["reason"], r["raw"]) for r in found) == sorted(wanted)
    for row in found:
        path = tmp_path / row["table"] / NIGHT / "part.jsonl"
        assert row["file"].endswith(str(path))
        assert path.read_text().split("\n")[row["line"] - 1] == row["raw"]
    assert json.loads((out / "counts.json").read_text()) == counts


def test_quarantine_is_private_and_the_only_place_with_user_ids(
    spark, logs, impression, event, items, tmp_path: Path
):
    logs.write(
        NIGHT,
        impressions=[impression("r1"), impression("r2", propensity=2)],
        feedback=[event("e1", "r1")],
        items=items("a", "b"),
    )
    counts = ingest.run(spark, logs.job(NIGHT))
    out = tmp_path / "out" / NIGHT
    quarantine = out / "quarantine"
    for path in [quarantine, *quarantine.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    for path in out.rglob("*"):
        if path.is_file() and quarantine not in path.parents:
            assert b"user-secret-1" not in path.read_bytes(), path
    (row,) = rows_of(out / "impressions")
    digest = hmac.new(b"a key for the tests", b"user-secret-1", hashlib.sha256).hexdigest()
    assert row["user"] == digest[:32]
    assert counts["key_id"] == key_id(b"a key for the tests")
    assert "a key for the tests" not in json.dumps(counts)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MRLM_USER_KEY", "a key for the tests")


def test_duplicates_late_and_reopened_nights(spark, logs, impression, event, items, tmp_path: Path):
    logs.write(
        "2026-11-08",
        impressions=[impression("old", ts="2026-11-08T10:00:00Z")],
        feedback=[],
        items=items("a", "b"),
    )
    ingest.run(spark, logs.job("2026-11-08"))
    logs.write(
        "2026-11-09",
        impressions=[
            impression("r1", ts="2026-11-09T10:00:01Z", policy_id="second"),
            impression("r1", ts="2026-11-09T10:00:00Z", policy_id="first"),
            impression("r1", ts="2026-11-09T10:00:00Z", propensity=7),
            impression("r9", ts="2026-11-01T10:00:00Z"),
        ],
        feedback=[event("e1", "r1", ts="2026-11-09T10:00:00Z")],
        items=[
            *items("a", text="Too old", updated_at="2026-11-09T08:00:00Z"),
            *items("a", text="New text", updated_at="2026-11-09T09:00:00Z"),
            *items("a", text="Of no known time"),
        ],
    )
    counts = ingest.run(spark, logs.job("2026-11-09", ["2026-11-08"]))
    check_sums(counts)
    assert counts["impressions"] == {
        "raw": 4,
        "clean": 1,
        "duplicate": 1,
        "late": 1,
        "quarantined": {"propensity_out_of_range": 1},
    }
    assert rows_of(tmp_path / "out/2026-11-09/impressions")[0]["policy_id"] == "first"
    assert counts["items"]["duplicate"] == 2
    assert counts["catalog"] == 2
    catalog = Catalog.read(tmp_path / "out/2026-11-09/catalog")
    assert catalog.text.tolist() == ["New text", "Item b"]

    logs.write(
        NIGHT,
        impressions=[
            impression("r1", ts="2026-11-09T10:00:00Z"),
            impression("r2", ts="2026-11-08T09:00:00Z"),
            impression("r3", ts="2026-11-07T09:00:00Z"),
            impression("r9", ts="2026-11-01T10:00:00Z"),
        ],
        feedback=[
            event("e1", "r1"),
            event("e2", "r1", event="click"),
            event("e3", "r1", event="buy"),
            event("e4", "old", event="buy"),
            event("e5", "nobody", event="buy"),
            event("e6", "old", event="scroll"),
        ],
        items=[],
    )
    job = logs.job(NIGHT, ["2026-11-08", "2026-11-09"])
    counts = ingest.run(spark, job)
    check_sums(counts)
    # r1 was clean on the 9th and r9 late: both come again.
    assert counts["impressions"] == {
        "raw": 4,
        "clean": 1,
        "duplicate": 2,
        "late": 1,
        "quarantined": {},
    }
    # e1 came before; the windows of click (0) and buy (1) had closed for e2 and e4.
    assert counts["feedback"] == {
        "raw": 6,
        "clean": 3,
        "duplicate": 1,
        "late": 2,
        "quarantined": {},
    }
    assert counts["unattributed"] == 1
    assert counts["events"]["buy"] == {
        **dict.fromkeys(counts["events"]["buy"], 0),
        "clean": 2,
        "late": 1,
        "attributed": 1,
        "unattributed": 1,
    }
    assert counts["late_events"] == {"buy": {"2026-11-08": 1}, "click": {"2026-11-09": 1}}
    # r2 is in time for the 8th, e3 for the 9th; nothing reads scrolls.
    assert counts["reopened"] == ["2026-11-08", "2026-11-09"]
    assert counts["catalog"] == 2

    # A table that validation stopped counts as never delivered.
    stopped = (
        Previous("2026-11-08", str(tmp_path / "out/2026-11-08")),
        Previous("2026-11-09", str(tmp_path / "out/2026-11-09"), ("items", "feedback")),
    )
    counts = ingest.run(spark, replace(job, out=str(tmp_path / "again"), previous=stopped))
    assert counts["impressions"]["duplicate"] == 0
    assert counts["feedback"]["duplicate"] == 1
    assert counts["unattributed"] == 1
    assert counts["reopened"] == ["2026-11-08", "2026-11-09"]


def test_every_event_is_counted_by_where_it_belongs(
    spark, logs, impression, event, items, tmp_path: Path
):
    logs.write(
        NIGHT,
        impressions=[
            impression("r1"),
            impression("twice"),
            impression("twice", position=2),
            impression("bad", propensity=7),
        ],
        feedback=[
            event("e1", "r1"),
            event("e1", "r1"),
            event("e2", "twice"),
            event("e3", "bad"),
            event("e4", "nobody"),
            event("e5", "r1", value="much"),
            event("e6", "r1", value="much", event=None),
            event("e7", None),
            event("e8", "r1", value="much", event="scroll"),
            "{broken",
        ],
        items=items("a", "b"),
    )
    counts = ingest.run(spark, logs.job(NIGHT))
    nothing = dict.fromkeys(counts["events"][""], 0)
    assert counts["events"] == {
        "": {**nothing, "placed": 1, "unplaced": 1},
        "buy": nothing,
        "click": {
            "clean": 4,
            "duplicate": 1,
            "late": 0,
            "attributed": 1,
            "ambiguous": 1,
            "left_out": 1,
            "unattributed": 1,
            "placed": 1,
            "unplaced": 1,
        },
    }
    unread = rows_of(tmp_path / "out" / NIGHT / "unread")
    assert sorted((r["request_id"], r["item_id"], r["event"] or "") for r in unread) == [
        ("r1", "a", ""),
        ("r1", "a", "click"),
    ]
    # The next night's events of an impression that was not taken are not lost ones either.
    logs.write(
        "2026-11-11",
        impressions=[impression("r2", ts="2026-11-11T10:00:00Z")],
        feedback=[event("f1", "bad", event="buy"), event("f2", "r1", event="buy")],
    )
    later = ingest.run(spark, logs.job("2026-11-11", [NIGHT]))
    assert later["events"]["buy"]["left_out"] == 1
    stopped = (Previous(NIGHT, str(tmp_path / "out" / NIGHT), ("items", "feedback")),)
    again = ingest.run(spark, replace(logs.job("2026-11-11"), previous=stopped))
    assert again["events"]["buy"]["left_out"] == 2


def test_job_survives_json(logs):
    job = logs.job(NIGHT, ["2026-11-09"], attribute_fields=("year",), candidate_set_path="x")
    job = replace(job, known_item_fields=("text", "year"))
    job = replace(job, clock=NightClock("Asia/Shanghai", "04:00", "seconds"))
    assert IngestJob.from_json(job.to_json()) == job


RENAMED = {
    "impressions": {"request_id": "rid", "user_id": "member", "candidates": "pool"},
    "feedback": {"value": "amount"},
    "items": {"item_id": "sku", "text": "title"},
}


def _tables(impression, event, items) -> dict[str, list[dict]]:
    rename = lambda row, names: {names.get(k, k): v for k, v in row.items()}  # noqa: E731
    shown = [impression("r1"), impression("r2", item_id="b"), impression("r3", propensity=3)]
    return {
        "impressions": [rename(r, RENAMED["impressions"]) for r in shown],
        "feedback": [rename(event("e1", "r1"), RENAMED["feedback"])],
        "items": [
            rename(r, RENAMED["items"]) | {"year": 1990, "more": "words"} for r in items("a", "b")
        ],
    }


def _write_csv(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        for row in rows:
            flat = {}
            for key, value in row.items():
                if isinstance(value, list) and all(isinstance(v, str) for v in value):
                    value = "|".join(value)
                elif isinstance(value, list | dict):
                    value = json.dumps(value)
                flat[key] = value
            writer.writerow(flat)


def _write_parquet(path: Path, rows: list[dict]) -> None:
    for row in rows:
        for key in ("attributes", "context"):
            if key in row:
                row[key] = json.dumps(row[key])
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize("format", ["json", "csv", "parquet"])
def test_formats_and_renamed_columns_give_the_same_tables(
    spark, tmp_path: Path, impression, event, items, format: str
):
    for table, rows in _tables(impression, event, items).items():
        path = tmp_path / f"{table}.{format}"
        if format == "json":
            path.write_text("\n".join(map(json.dumps, rows)))
        elif format == "csv":
            _write_csv(path, rows)
        else:
            _write_parquet(path, rows)
    job = IngestJob(
        night=NIGHT,
        tables={
            t: TableInput((str(tmp_path / f"{t}.{format}"),), format, RENAMED[t]) for t in RENAMED
        },
        out=str(tmp_path / "out"),
        text_fields=("text", "more"),
        attribute_fields=("year",),
        windows={"click": 0},
    )
    counts = ingest.run(spark, job)
    check_sums(counts)
    assert counts["impressions"]["quarantined"] == {"propensity_out_of_range": 1}
    shown = sorted(rows_of(tmp_path / "out/impressions"), key=lambda r: r["request_id"])
    assert [r["item_id"] for r in shown] == ["a", "b"]
    assert shown[0]["candidates"] == ["a", "b"]
    assert shown[0]["candidate_propensities"] == [0.5, 0.5]
    assert shown[0]["context"] == [("hour", "10")]
    assert shown[0]["ts"].isoformat() == "2026-11-10T10:00:00+00:00"
    (fed,) = rows_of(tmp_path / "out/feedback")
    assert (fed["value"], str(fed["impression_night"])) == (1.0, NIGHT)
    catalog = Catalog.read(tmp_path / "out/catalog")
    assert catalog.text.tolist() == ["Item a. words", "Item b. words"]
    assert catalog.attributes["year"].tolist() == [1990, 1990]
    assert catalog.attributes["size"].tolist() == [1.5, 1.5]
    assert catalog.category_names.tolist() == ["x", "y"]
    (bad,) = rows_of(tmp_path / "out/quarantine")
    assert bad["line"] == (4 if format == "csv" else 3)
    assert "user-secret-1" in bad["raw"]


def test_candidate_sets_by_name(spark, logs, impression, items, tmp_path: Path):
    sets = tmp_path / "sets.jsonl"
    sets.write_text(json.dumps({"candidate_set_id": "s1", "candidates": ["a", "b"]}))
    row = impression("r1", candidate_set_id="s1")
    del row["candidates"]
    logs.write(
        NIGHT,
        impressions=[row, row | {"request_id": "r2", "candidate_set_id": "s2"}],
        items=items("a", "b"),
    )
    job = logs.job(NIGHT, candidate_set_path=str(sets))
    counts = ingest.run(spark, job)["impressions"]
    assert counts["clean"] == 1
    assert counts["quarantined"] == {"no_candidates": 1}
    assert rows_of(tmp_path / "out" / NIGHT / "impressions")[0]["candidates"] == ["a", "b"]


def test_candidate_sets_are_written_as_the_impressions_are(logs):
    job = logs.job(NIGHT)
    assert job.candidate_sets is None
    shown = TableInput(("x",), "csv", {"item_id": "sku"}, ";")
    job = replace(job, tables=job.tables | {"impressions": shown}, candidate_set_path="sets")
    assert job.candidate_sets == TableInput(("sets",), "csv", delimiter=";")


def test_missing_file_names_path_and_night(spark, logs, impression, items):
    logs.write(NIGHT, impressions=[impression("r1")], items=items("a", "b"))
    job = logs.job(NIGHT)
    tables = job.tables | {"feedback": TableInput(("/nowhere/feedback",))}
    with pytest.raises(InputError, match=r"feedback of night 2026-11-10.*/nowhere/feedback.*path"):
        ingest.run(spark, replace(job, tables=tables))


def test_empty_night_is_refused(spark, logs, items):
    logs.write(NIGHT, impressions=["", "  "], items=items("a", "b"))
    with pytest.raises(InputError, match=r"impressions of night 2026-11-10.*no rows"):
        ingest.run(spark, logs.job(NIGHT))


def test_first_night_without_items_is_refused(spark, logs, impression):
    logs.write(NIGHT, impressions=[impression("r1")])
    with pytest.raises(InputError, match=r"items of night 2026-11-10.*no rows"):
        ingest.run(spark, logs.job(NIGHT))


def test_column_that_was_renamed_by_the_logger(spark, logs, impression, items):
    rows = [impression("r1"), impression("r2")]
    for row in rows:
        row["probability"] = row.pop("propensity")
    logs.write(NIGHT, impressions=rows, items=items("a", "b"))
    with pytest.raises(InputError) as caught:
        ingest.run(spark, logs.job(NIGHT))
    for part in (
        "impressions of night 2026-11-10",
        "'propensity'",
        "probability",
        "inputs.impressions",
    ):
        assert part in str(caught.value)


def test_mapped_column_that_no_row_has(spark, logs, impression, items):
    logs.write(NIGHT, impressions=[impression("r1")], items=items("a", "b"))
    job = logs.job(NIGHT)
    source = replace(job.tables["impressions"], columns={"scene": "surface"})
    with pytest.raises(InputError, match=r"'surface'.*needed as 'scene'"):
        ingest.run(spark, replace(job, tables=job.tables | {"impressions": source}))


def test_column_that_is_there_and_always_null_is_quarantined(spark, logs, impression, items):
    logs.write(NIGHT, impressions=[impression("r1", user_id=None)], items=items("a", "b"))
    counts = ingest.run(spark, logs.job(NIGHT))
    assert counts["impressions"]["quarantined"] == {"null_user": 1}


def test_catalogue_without_text_names_the_setting(spark, logs, impression, items):
    rows = items("a", "b")
    for row in rows:
        row["title"] = row.pop("text")
    logs.write(NIGHT, impressions=[impression("r1")], items=rows)
    with pytest.raises(InputError, match=r"no row has a text column.*title.*inputs\.text_fields"):
        ingest.run(spark, logs.job(NIGHT))


def test_fields_that_no_row_has_are_refused_with_the_nearest_name(spark, logs, impression, items):
    rows = items("a", "b", words=120)
    logs.write(NIGHT, impressions=[impression("r1")], items=rows)
    job = logs.job(NIGHT)
    wordz = replace(job, attribute_fields=("wordz",))
    with pytest.raises(InputError, match=r"attribute_fields names 'wordz'.*did you mean words\?"):
        ingest.run(spark, wordz)
    txt = replace(job, text_fields=("text", "provder"))
    with pytest.raises(InputError, match=r"text_fields names 'provder'.*found are attributes, "):
        ingest.run(spark, txt)


def test_fields_of_some_rows_and_of_some_nights_are_taken(
    spark, logs, impression, items, tmp_path: Path
):
    """A field that an item had once may be missing in the few rows, or the file, of a night."""
    fields = {"text_fields": ("text", "plot"), "attribute_fields": ("words",)}
    full = items("a", plot="Plot", words=120)
    logs.write("2026-11-08", impressions=[impression("r0", ts="2026-11-08")], items=full)
    first = json.loads(json.dumps(ingest.run(spark, logs.job("2026-11-08", **fields))))
    assert first["item_fields"] == ["plot", "text", "words"]

    bare = items("b")
    logs.write("2026-11-09", impressions=[impression("r1", ts="2026-11-09")], items=bare)
    job = logs.job("2026-11-09", ["2026-11-08"], **fields)
    lost = replace(job, out=str(tmp_path / "refused"))
    with pytest.raises(InputError, match="names 'plot'"):
        ingest.run(spark, lost)
    known = {"known_item_fields": tuple(first["item_fields"])}
    second = ingest.run(spark, replace(job, **known))
    assert (second["items"]["clean"], second["catalog"]) == (1, 2)
    assert second["item_fields"] == first["item_fields"]
    # A new field of the settings has still to be found.
    with pytest.raises(InputError, match=r"names 'worts'.*found are"):
        ingest.run(spark, replace(lost, **known | {"attribute_fields": ("words", "worts")}))

    logs.write(NIGHT, impressions=[impression("r2", candidates=["a", "b"])])
    nights = ["2026-11-08", "2026-11-09"]
    job = logs.job(NIGHT, nights, **fields, **known)
    empty = replace(job, tables=job.tables | {"items": TableInput(())})
    third = ingest.run(spark, empty)
    assert third["item_fields"] == first["item_fields"]
    attributes = Catalog.read(tmp_path / "out" / NIGHT / "catalog").attributes
    assert attributes["words"].tolist()[0] == 120


def test_items_without_text_are_kept_and_counted(spark, logs, impression, items, tmp_path: Path):
    """Half of the texts empty on the first night: no row is lost; later texts are taken."""
    logs.write(
        "2026-11-09",
        impressions=[
            impression("r1", ts="2026-11-09", candidates=["a", "b", "c"], propensity=0.3)
            | {"candidate_propensities": None}
        ],
        items=[*items("a", "d"), *items("b", text=""), *items("c", text=None)],
    )
    counts = ingest.run(spark, logs.job("2026-11-09"))
    check_sums(counts)
    assert (counts["items"]["clean"], counts["items"]["quarantined"]) == (4, {})
    assert (counts["impressions"]["clean"], counts["impressions"]["quarantined"]) == (1, {})
    assert (counts["catalog"], counts["items_without_text"]) == (4, 2)
    catalog = Catalog.read(tmp_path / "out/2026-11-09/catalog")
    assert catalog.without_text.tolist() == [False, True, True, False]

    # An update without text leaves the text that was known.
    logs.write(
        NIGHT,
        impressions=[impression("r2", candidates=["a", "c"])],
        items=[*items("a", text="", category="z"), *items("b", text="At last")],
    )
    counts = ingest.run(spark, logs.job(NIGHT, ["2026-11-09"]))
    assert (counts["catalog"], counts["items_without_text"]) == (4, 1)
    catalog = Catalog.read(tmp_path / "out" / NIGHT / "catalog")
    assert catalog.text.tolist() == ["Item a", "At last", "", "Item d"]
    names = catalog.category_names[catalog.categories[0]]
    assert names.tolist() == ["z"]


def test_missing_key_is_refused_before_anything_is_written(
    spark, logs, impression, items, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    logs.write(NIGHT, impressions=[impression("r1")], items=items("a", "b"))
    monkeypatch.delenv("MRLM_USER_KEY")
    with pytest.raises(InputError, match="MRLM_USER_KEY"):
        ingest.run(spark, logs.job(NIGHT))
    assert not (tmp_path / "out").exists()


def test_a_short_key_is_refused_unless_nights_were_made_with_it(
    spark, logs, impression, event, items, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    shown = [impression("r1")]
    logs.write(NIGHT, impressions=shown, feedback=[event("e1", "r1")], items=items("a", "b"))
    monkeypatch.setenv("MRLM_USER_KEY", "fifteen letters")
    with pytest.raises(InputError, match=r"15 bytes.*at least 16.*openssl rand"):
        ingest.run(spark, logs.job(NIGHT))
    assert not (tmp_path / "out").exists()
    counts = ingest.run(spark, logs.job(NIGHT, known_keys=(earlier_key_id(b"fifteen letters"),)))
    assert counts["key_id"] == key_id(b"fifteen letters")


@pytest.mark.parametrize("generated", ["false", "true"])
def test_line_numbers_across_file_splits(
    spark, logs, impression, items, tmp_path: Path, generated: str
):
    """Places stay right when a file is read in several pieces, and in several files."""
    rows = [impression(f"r{i}", user_id=f"u{i}") for i in range(400)]
    logs.write(NIGHT, impressions=[], items=items("a", "b"))
    folder = tmp_path / "impressions" / NIGHT
    lines = [json.dumps(r) for r in rows]
    lines[37], lines[250], lines[399] = "bad 37", "", "bad 399"
    (folder / "part.jsonl").write_text("\n".join(lines))
    (folder / "part-2.jsonl").write_text("bad 1\n")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "20000")
    # As in the session of a large night.
    small = spark.conf.get("spark.sql.codegen.wholeStage")
    spark.conf.set("spark.sql.codegen.wholeStage", generated)
    try:
        counts = ingest.run(spark, logs.job(NIGHT))
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
        spark.conf.set("spark.sql.codegen.wholeStage", small)
    assert counts["impressions"]["raw"] == 400
    found = rows_of(tmp_path / "out" / NIGHT / "quarantine")
    places = {r["raw"]: (Path(r["file"]).name, r["line"]) for r in found}
    assert places == {
        "bad 37": ("part.jsonl", 38),
        "bad 399": ("part.jsonl", 400),
        "bad 1": ("part-2.jsonl", 1),
    }


def test_nights_of_a_platform_that_cuts_its_log_by_local_days(
    spark, logs, impression, event, items, tmp_path: Path
):
    """Days of +08:00: read as UTC a third moves a night; with the time zone nothing does.

    The numbers that ingestion counts name the shift.
    """
    from pipelines.expectations import arrival
    from pipelines.settings.ingestion import Ingestion
    from pipelines.settings.validation import Validation

    days, shown = ["2026-11-09", NIGHT], {}
    for day in days:
        local = [f"{day}T{hour:02d}:{minute}:00+08:00" for hour in range(24) for minute in (10, 40)]
        shown[day] = [
            impression(f"{day}-{i}", user_id=f"u{i}", ts=ts) for i, ts in enumerate(local)
        ]
        clicks = [event(f"{day}-{i}", f"{day}-{i}", ts=ts) for i, ts in enumerate(local)]
        new = items("a", "b") if day == days[0] else []
        logs.write(day, impressions=shown[day], feedback=clicks, items=new)

    def ingested(out: str, clock: NightClock) -> list[dict]:
        first = logs.job(days[0], out=str(tmp_path / out / days[0]), clock=clock)
        before = (Previous(days[0], first.out),)
        second = logs.job(NIGHT, out=str(tmp_path / out / NIGHT), clock=clock)
        second = replace(second, previous=before)
        return [ingest.run(spark, first), ingest.run(spark, second)]

    as_utc = ingested("utc", NightClock())
    rows = rows_of(tmp_path / "utc" / NIGHT / "impressions")
    assert sum(str(r["night"]) != NIGHT for r in rows) == len(rows) // 3
    assert as_utc[1]["feedback"]["late"] == len(rows) // 3
    assert as_utc[1]["reopened"] == [days[0]]
    numbers = arrival.statistics(as_utc[1])
    for table in arrival.TABLES:
        first, late, _ = arrival.statistic_rules(Validation(), Ingestion(), table, numbers)
        assert numbers[first.arguments["column"]] == 1 / 3 > first.arguments["max_value"]
        assert first.severity == "critical"
        assert "shifted by about +8 h" in first.expected
        assert "ingestion.time_zone" in first.expected
        is_late = numbers[late.arguments["column"]] > late.arguments["max_value"]
        assert is_late == (table == "feedback")

    local_days = ingested("local", NightClock("Asia/Shanghai"))
    for day, counts in zip(days, local_days, strict=True):
        rows = rows_of(tmp_path / "local" / day / "impressions")
        assert {str(r["night"]) for r in rows} == {day}
        fed = rows_of(tmp_path / "local" / day / "feedback")
        assert {str(r["impression_night"]) for r in fed} == {day}
        assert counts["feedback"]["clean"] == counts["impressions"]["clean"] == len(shown[day])
        assert counts["reopened"] == []
        assert arrival.statistics(counts)["impressions_shifted_share"] == 0


def test_times_of_parquet_are_instants_or_local(spark, tmp_path: Path, logs, impression, items):
    """A column with a time zone holds instants; one without holds what a local clock showed."""
    logs.write(NIGHT, items=items("a", "b"))
    rows = [impression("r1"), impression("r2")]
    rows = [{**r, "context": None} for r in rows]
    at = dt.datetime(2026, 11, 10, 1, tzinfo=dt.UTC)
    shown = [dt.datetime(2026, 11, 10, hour) for hour in (9, 23)]
    job = logs.job(NIGHT, clock=NightClock("Asia/Shanghai"))
    for name, kind, values in (
        ("instants", pa.timestamp("us", "UTC"), [at, at + dt.timedelta(hours=14)]),
        ("local", pa.timestamp("us"), shown),
        ("epochs", pa.int64(), [int(at.timestamp() * 1000) + h * 3_600_000 for h in (0, 14)]),
    ):
        table = pa.Table.from_pylist(rows).drop(["ts", "context"])
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table.append_column("ts", pa.array(values, kind)), path)
        source = TableInput((str(path),), "parquet")
        out = tmp_path / name
        ingest.run(spark, replace(job, out=str(out), tables=job.tables | {"impressions": source}))
        found = sorted(rows_of(out / "impressions"), key=lambda r: r["request_id"])
        assert [r["ts"] for r in found] == [at, at + dt.timedelta(hours=14)], name
        assert {str(r["night"]) for r in found} == {NIGHT}
