"""Rows that are more than the columns of a line: nested, several a line, events in columns."""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_jobs import ingest
from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.errors import InputError
from spark_jobs.ingestion.ingest_job import IngestJob, Previous
from spark_jobs.preview import preview
from spark_jobs.reading.row_shape import RowShape
from spark_jobs.reading.table_files import TableInput

pytestmark = pytest.mark.spark
NIGHT = "2026-11-10"


def rows_of(folder: str | Path) -> list[dict[str, Any]]:
    return pq.read_table(folder, partitioning=None).to_pylist()


def check_sums(counts: dict[str, Any]) -> None:
    for table in ("impressions", "feedback", "items"):
        c = counts[table]
        assert c["raw"] == c["clean"] + c["duplicate"] + c["late"] + sum(c["quarantined"].values())


def decision(event: str, actions: list[int], cost: float, **more: Any) -> dict[str, Any]:
    """A line of VW dsjson over three actions."""
    names = ("tea", "cake", "jam")
    return {
        "_label_cost": cost,
        "_label_probability": 0.5,
        "EventId": event,
        "Timestamp": f"{NIGHT}T10:00:00.5000000Z",
        "a": actions,
        "p": [0.5, 0.3, 0.2],
        "c": {"User": {"age": 3}, "_multi": [{"_tag": n, "i": {"id": n}} for n in names]},
        **more,
    }


DSJSON = [
    decision("e1", [2, 1, 3], -1.5),
    decision("e2", [3, 1, 2], 0.0),
    decision("e3", [1, 2, 3], -1.0, _skipLearn=True),
    {"RewardValue": 1.0, "EventId": "e2"},
    decision("e4", [9, 1, 2], 0.0),
    decision("e5", [0, 1, 2], "high"),
]
WHERE = {"_label_cost": ("*",), "_skipLearn": ("", "false")}
SHOWN = {
    "request_id": "EventId",
    "user_id": "EventId",
    "ts": "Timestamp",
    "position": "=1",
    "item_id": "c._multi[a[0]-1]._tag",
    "candidates": "c._multi[a[*]-1]._tag",
    "candidate_propensities": "p",
    "propensity": "_label_probability",
    "context": "c.User",
}
FED = {k: SHOWN[k] for k in ("request_id", "item_id", "ts")}


def job_of(folder: Path, **tables: TableInput) -> IngestJob:
    return IngestJob(
        night=NIGHT, tables=tables, out=str(folder / "out"), windows={"reward": 0, "click": 0}
    )


def test_dsjson_is_read_by_settings_alone(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [*map(json.dumps, DSJSON), "[CHECKPOINT]", ""]
    path.write_text("".join(line + "\n" for line in lines))
    paths = (str(path),)
    job = job_of(
        tmp_path,
        impressions=TableInput(paths, columns=SHOWN, shape=RowShape(where=WHERE)),
        feedback=TableInput(
            paths, columns=FED, shape=RowShape(where=WHERE, events={"reward": "-_label_cost"})
        ),
        items=TableInput(
            paths,
            columns={"item_id": "c._multi[]._tag", "text": "c._multi[]"},
            shape=RowShape(rows="c._multi", where=WHERE),
        ),
    )
    counts = ingest.run(spark, IngestJob.from_json(job.to_json()))
    check_sums(counts)
    # The line that is no JSON belongs to any table; e3 and the reward line to none.
    assert counts["impressions"]["raw"] == 5
    assert counts["impressions"]["clean"] == 2
    # Actions that the line does not list leave holes in the candidates.
    assert counts["impressions"]["quarantined"] == {"unparsable": 1, "wrong_type": 2}
    assert counts["feedback"]["quarantined"] == {"unparsable": 1, "wrong_type": 1}
    shown = sorted(rows_of(f"{job.out}/impressions"), key=lambda r: r["request_id"])
    assert [r["item_id"] for r in shown] == ["cake", "jam"]
    assert shown[0]["candidates"] == ["cake", "tea", "jam"]
    assert shown[0]["candidate_propensities"] == [0.5, 0.3, 0.2]
    assert shown[0]["context"] == [("age", "3")]
    (event,) = rows_of(f"{job.out}/feedback")
    assert (event["request_id"], event["event"], event["value"]) == ("e1", "reward", 1.5)
    assert counts["items"]["raw"] == 4 * 3 + 1
    assert counts["items"]["duplicate"] == 9
    items = {r["item_id"]: json.loads(r["text"]) for r in rows_of(f"{job.out}/items")}
    assert items["tea"] == {"_tag": "tea", "i": {"id": "tea"}}
    lost = {(r["table"], r["reason"], r["line"]) for r in rows_of(f"{job.out}/quarantine/rows")}
    assert lost == {
        ("impressions", "wrong_type", 5),
        ("impressions", "wrong_type", 6),
        ("impressions", "unparsable", 7),
        ("feedback", "wrong_type", 6),
        ("feedback", "unparsable", 7),
        ("items", "unparsable", 7),
    }


def request(name: str, slots: Any) -> dict[str, Any]:
    return {"id": name, "at": f"{NIGHT} 10:00:00", "who": {"id": "u1"}, "slots": slots}


def slot(item: str, clicked: object = False, **more: Any) -> dict[str, Any]:
    row = {"item": item, "p": 0.5, "pool": [{"id": "a"}, {"id": "b"}], "clicked": clicked}
    return row | {"secs": 0} | more


REQUESTS = [
    request("r1", [slot("a", True, secs=12.5), slot("b")]),
    request("r2", [slot("b", p=2.0), slot("c", secs="long")]),
    request("r3", []),
    request("r4", None),
]
SLOTS = {
    "request_id": "id",
    "ts": "at",
    "user_id": "who.id",
    "position": "slots[#]",
    "item_id": "slots[].item",
    "propensity": "slots[].p",
    "candidates": "slots[].pool[*].id",
}


@pytest.mark.parametrize("form", ["json", pytest.param("parquet", marks=pytest.mark.long)])
def test_a_request_of_several_slots_is_a_row_a_slot(
    spark: Any, tmp_path: Path, form: Any, items: Any
) -> None:
    place = tmp_path / "log"
    place.mkdir()
    rows = REQUESTS if form == "json" else [REQUESTS[0], REQUESTS[2], REQUESTS[3]]
    if form == "json":
        (place / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), place / "a.parquet")
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items("a", "b")))
    paths = (str(place),)
    events = {"click": "slots[].clicked", "reward": "slots[].secs"}
    keys = {k: SLOTS[k] for k in ("request_id", "item_id", "ts")}
    job = job_of(
        tmp_path,
        impressions=TableInput(paths, form, SLOTS, shape=RowShape("slots")),
        feedback=TableInput(paths, form, keys, shape=RowShape("slots", events=events)),
        items=TableInput((str(tmp_path / "items.jsonl"),)),
    )
    counts = ingest.run(spark, job)
    check_sums(counts)
    shown = sorted(rows_of(f"{job.out}/impressions"), key=lambda r: r["position"])
    assert [(r["position"], r["item_id"]) for r in shown] == [(1, "a"), (2, "b")]
    assert shown[0]["candidates"] == ["a", "b"]
    assert f"{shown[0]['ts']:%H:%M}" == "10:00"
    # A request without slots has no row; one whose slots are missing is one row, and lost.
    bad = {"missing_field": 1}
    bad |= {"propensity_out_of_range": 1, "shown_not_in_candidates": 1} if form == "json" else {}
    assert counts["impressions"]["quarantined"] == bad
    found = {(r["event"], r["value"]) for r in rows_of(f"{job.out}/feedback")}
    assert found == {("click", 1.0), ("reward", 12.5)}
    if form == "json":
        assert counts["feedback"]["quarantined"] == {"missing_field": 1, "wrong_type": 1}


def test_one_csv_of_several_nights_is_read_by_time(spark: Any, tmp_path: Path) -> None:
    """A public data set's shape: no request, user or candidates, clicks beside the shows."""
    log, about = tmp_path / "all.csv", tmp_path / "context.csv"
    head = ";timestamp;item_id;position;click;score;user_a;user_b;user-item_x"
    lines = [
        "0;2026-11-09 23:59:59.5+00:00;0;1;1;0.5;p;q;0.1",
        "1;2026-11-10 00:00:00+00:00;1;2;0;0.5;p;q;0.1",
        "2;2026-11-10 08:00:00+00:00;0;3;1;0.5;p;;0.1",
        "3;2026-11-11 00:00:00+00:00;0;3;1;0.5;p;r;0.1",
        "4;never;0;3;1;0.5;p;r;0.1",
    ]
    log.write_text("\n".join([head, *lines]) + "\n")
    about.write_text(";item_id;kind\n0;0;tea\n1;1;cake\n")
    columns = {
        "request_id": ("timestamp", "user_a", "user_b"),
        "user_id": ("user_a", "user_b"),
        "ts": "timestamp",
        "position": "position + 1",
        "propensity": "score",
    }
    fed = {"request_id": columns["request_id"], "ts": "timestamp"}
    shape = RowShape(clock=NightClock())

    def job(night: str, previous: tuple[Previous, ...] = ()) -> IngestJob:
        tables = {
            "impressions": TableInput((str(log),), "csv", columns, ";", shape),
            "feedback": TableInput(
                (str(log),), "csv", fed, ";", replace(shape, events={"click": "click"})
            ),
            "items": TableInput((str(about),), "csv", {"text": "kind"}, ";"),
        }
        made = job_of(tmp_path, **tables)
        out = str(tmp_path / night)
        return replace(made, night=night, out=out, candidates="catalog", previous=previous)

    first, second = (
        job("2026-11-09"),
        job(NIGHT, (Previous("2026-11-09", str(tmp_path / "2026-11-09")),)),
    )
    counts = ingest.run(spark, first)
    check_sums(counts)
    # The row without a time belongs to the first night of the file, and to no other.
    assert counts["impressions"]["quarantined"] == {"wrong_type": 1}
    assert [
        r["line"] for r in rows_of(f"{first.out}/quarantine/rows") if r["table"] == "impressions"
    ] == [6]
    counts = ingest.run(spark, second)
    check_sums(counts)
    assert counts["impressions"] == {
        "raw": 2,
        "clean": 2,
        "duplicate": 0,
        "late": 0,
        "quarantined": {},
    }
    shown = sorted(rows_of(f"{second.out}/impressions"), key=lambda r: r["ts"])
    # A request that is put together of columns of users is kept as a pseudonym, as users are.
    key = os.environ["MRLM_USER_KEY"].encode()
    texts = ("2026-11-10 00:00:00+00:00|p|q", "2026-11-10 08:00:00+00:00|p|")
    hashed = [hmac.new(key, text.encode(), "sha256").hexdigest()[:32] for text in texts]
    assert [r["request_id"] for r in shown] == hashed
    assert [(r["position"], r["candidates"]) for r in shown] == [(3, ["0", "1"]), (4, ["0", "1"])]
    (event,) = rows_of(f"{second.out}/feedback")
    assert (event["item_id"], event["event"], event["value"]) == ("0", "click", 1.0)
    assert event["impression_night"].isoformat() == NIGHT


@pytest.mark.long
def test_lists_beside_each_other_are_a_row_an_element(
    spark: Any, tmp_path: Path, items: Any
) -> None:
    log = tmp_path / "log.csv"
    lines = ["r1,2026-11-10T10:00:00Z,u,a|b,0.5|0.4,a|b|c", "r2,2026-11-10T10:00:00Z,u,a,0.5,a|b"]
    log.write_text("\n".join(["rid,ts,uid,shown,chances,pool", *lines, ""]))
    (tmp_path / "items.jsonl").write_text(
        "".join(json.dumps(i) + "\n" for i in items("a", "b", "c"))
    )
    (tmp_path / "none.jsonl").write_text("")
    columns = {
        "request_id": "rid",
        "user_id": "uid",
        "item_id": "shown[]",
        "position": "shown[#]",
        "propensity": "chances[]",
        "candidates": "pool",
    }
    job = job_of(
        tmp_path,
        impressions=TableInput((str(log),), "csv", columns, shape=RowShape("shown")),
        feedback=TableInput((str(tmp_path / "none.jsonl"),)),
        items=TableInput((str(tmp_path / "items.jsonl"),)),
    )
    counts = ingest.run(spark, job)
    check_sums(counts)
    shown = {
        (r["request_id"], r["position"], r["item_id"], r["propensity"])
        for r in rows_of(f"{job.out}/impressions")
    }
    # A single word is no list: the request with one slot is lost, and said so.
    assert shown == {("r1", 1, "a", 0.5), ("r1", 2, "b", 0.4)}
    assert counts["impressions"]["quarantined"] == {"missing_field": 1}


def test_a_path_that_leads_nowhere_is_refused(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in DSJSON))
    columns = SHOWN | {"item_id": "c._multi[a[0]-1].name"}
    table = TableInput((str(path),), columns=columns, shape=RowShape(where=WHERE))
    items = TableInput((str(path),), columns={"item_id": "c._multi[]._tag", "text": "c._multi[]"})
    items = replace(items, shape=RowShape("c._multi"))
    job = job_of(tmp_path, impressions=table, feedback=TableInput((str(path),)), items=items)
    with pytest.raises(InputError, match=r"no row has a value at 'c\._multi\[a\[0\]-1\]\.name'"):
        ingest.run(spark, job)


def test_an_event_that_names_its_request_alone_belongs_to_its_only_slot(
    spark: Any, tmp_path: Path, impression: Any, event: Any, items: Any
) -> None:
    tables = {
        "impressions": [impression("r1"), impression("r2"), impression("r2", 2, item_id="b")],
        "feedback": [
            event("e1", "r1", item_id=None),
            event("e2", "r2", item_id=None),
            event("e3", "r2", item_id="b"),
            event("e4", "r9", item_id=None),
            event("e5", "r1", item_id=None, value="much"),
        ],
        "items": items("a", "b"),
    }
    for name, rows in tables.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    job = job_of(tmp_path, **{n: TableInput((str(tmp_path / f"{n}.jsonl"),)) for n in tables})
    counts = ingest.run(spark, replace(job, feedback_names="request"))
    check_sums(counts)
    found = {r["event_id"]: r for r in rows_of(f"{job.out}/feedback")}
    assert {e: r["item_id"] for e, r in found.items()} == {"e1": "a", "e2": "", "e3": "b", "e4": ""}
    assert found["e2"]["impression_night"] is None
    assert counts["events"]["click"]["attributed"] == 2
    assert counts["events"]["click"]["unattributed"] == 2
    # A value that cannot be read makes the reward of that slot unknown, and of no other.
    (lost,) = rows_of(f"{job.out}/unread")
    assert (lost["request_id"], lost["item_id"]) == ("r1", "a")


def test_a_preview_shows_rows_as_they_will_be_read(
    spark: Any, tmp_path: Path, impression: Any, event: Any, items: Any
) -> None:
    tables = {
        "impressions": [impression("r1", session_id="s"), impression("r2", propensity=2)],
        "feedback": [event("e1", "r1"), event("e2", "r1", value="much"), event("e3", "r1")],
        "items": items("a", "b"),
    }
    for name, rows in tables.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    job = job_of(tmp_path, **{n: TableInput((str(tmp_path / f"{n}.jsonl"),)) for n in tables})
    shown = preview(spark, job, 2)
    assert [r.get("reason") for r in shown["impressions"]] == [None, "propensity_out_of_range"]
    assert [r.get("reason") for r in shown["feedback"]] == [None, "wrong_type"]
    assert shown["impressions"][0]["context"] == ["hour"]
    assert shown["items"][0]["categories"] == ["x", "y"]
    # Neither users nor sessions are shown.
    assert "user-secret-1" not in json.dumps(shown)
    assert "session_id" not in shown["impressions"][0]


def test_a_preview_takes_the_catalogue_as_ingestion_does_and_shows_the_history(
    spark: Any, tmp_path: Path, impression: Any, items: Any
) -> None:
    row = {n: v for n, v in impression("r1").items() if not n.startswith("candidate")}
    seen = {"event_id": "h1", "user_id": "user-secret-1", "item_id": "a", "event": "VIEW"}
    tables = {
        "impressions": [row],
        "feedback": [],
        "items": [*items("b", "a"), *items("b"), {"text": "no id"}],
        "history": [{**seen, "ts": f"{NIGHT}T09:00:00Z", "value": 1}, {**seen, "ts": "never"}],
    }
    for name, rows in tables.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    inputs = {n: TableInput((str(tmp_path / f"{n}.jsonl"),)) for n in tables}
    job = replace(job_of(tmp_path, **inputs), candidates="catalog")
    shown = preview(spark, job, 100)
    (taken,) = shown["impressions"]
    assert "reason" not in taken
    assert taken["candidates"] == ["a", "b"]
    assert [r.get("reason") for r in shown["history"]] == [None, "wrong_type"]
    assert "user-secret-1" not in json.dumps(shown)


def test_events_that_name_no_request_are_a_table_of_their_own(
    spark: Any, tmp_path: Path, impression: Any, event: Any, items: Any
) -> None:
    told = [
        {"who": "user-secret-1", "item": "a", "at": f"{NIGHT}T09:00:00Z", "what": "VIEW"},
        {"who": "user-secret-1", "item": "b", "at": f"{NIGHT}T09:05:00Z", "what": "BUY", "n": 12.5},
        {"who": "user-secret-1", "item": "b", "at": f"{NIGHT}T09:05:00Z", "what": "BUY", "n": 12.5},
        {"who": None, "item": "a", "at": f"{NIGHT}T09:00:00Z", "what": "VIEW"},
        {"who": "u2", "item": "a", "at": "never", "what": "VIEW"},
        {"who": "u2", "item": "a", "at": "2026-11-12T09:00:00Z", "what": "VIEW"},
    ]
    tables = {
        "impressions": [impression("r1")],
        "feedback": [event("e1", "r1")],
        "items": items("a", "b"),
        "history": told,
    }
    for name, rows in tables.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    columns = {"user_id": "who", "item_id": "item", "ts": "at", "event": "what", "value": "=1"}
    columns |= {"event_id": ("who", "item", "what", "at")}
    inputs = {n: TableInput((str(tmp_path / f"{n}.jsonl"),)) for n in tables}
    inputs["history"] = replace(inputs["history"], columns=columns)
    job = job_of(tmp_path, **inputs)
    counts = ingest.run(spark, job)
    assert counts["history"] == {
        "raw": 6,
        "clean": 2,
        "duplicate": 1,
        "late": 0,
        "quarantined": {"future_ts": 1, "null_user": 1, "wrong_type": 1},
    }
    kept = sorted(rows_of(f"{job.out}/history"), key=lambda r: r["ts"])
    assert [(r["event"], r["item_id"], r["value"]) for r in kept] == [
        ("VIEW", "a", 1.0),
        ("BUY", "b", 1.0),
    ]
    # The same person as in the impressions, and nowhere by name.
    (shown,) = rows_of(f"{job.out}/impressions")
    assert {r["user"] for r in kept} == {shown["user"]}
    assert "user-secret-1" not in json.dumps(kept, default=str)
    lost = [r["line"] for r in rows_of(f"{job.out}/quarantine/rows") if r["table"] == "history"]
    assert sorted(lost) == [4, 5, 6]
    # The same events again on the next night are duplicates of those.
    previous = (Previous(NIGHT, job.out, ("items", "impressions", "feedback", "history")),)
    (tmp_path / "impressions.jsonl").write_text(
        json.dumps(impression("r2", ts="2026-11-11T10:00:00Z")) + "\n"
    )
    later = replace(job, night="2026-11-11", previous=previous, out=str(tmp_path / "later"))
    assert ingest.run(spark, later)["history"]["duplicate"] == 3


@pytest.mark.long
def test_a_chance_is_found_by_the_item_that_was_shown(
    spark: Any, tmp_path: Path, items: Any
) -> None:
    rows = [
        {"r": "r1", "t": f"{NIGHT}T10:00:00Z", "arms": [{"id": "a"}, {"id": "b"}], "p": [0.3, 0.7]}
        | {"shown": "b", "came": [{"what": "click", "n": 2}, {"what": "buy", "n": 9.5}]},
        {"r": "r2", "t": f"{NIGHT}T10:00:00Z", "arms": [{"id": "a"}], "p": [1.0], "shown": "c"}
        | {"came": []},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items("a", "b")))
    keys = {"request_id": "r", "item_id": "shown", "ts": "t"}
    columns = keys | {"user_id": "r", "position": "=1", "candidates": "arms[*].id"}
    columns |= {"propensity": "p[arms[*].id=shown]"}
    fed = keys | {"event": "came[].what", "value": "came[].n", "event_id": ("r", "came[].what")}
    paths = (str(tmp_path / "log.jsonl"),)
    job = job_of(
        tmp_path,
        impressions=TableInput(paths, columns=columns),
        feedback=TableInput(paths, columns=fed, shape=RowShape("came")),
        items=TableInput((str(tmp_path / "items.jsonl"),)),
    )
    counts = ingest.run(spark, job)
    check_sums(counts)
    (shown,) = rows_of(f"{job.out}/impressions")
    assert (shown["item_id"], shown["propensity"]) == ("b", 0.7)
    assert counts["impressions"]["quarantined"] == {"missing_propensity": 1}
    found = {(r["event"], r["value"]) for r in rows_of(f"{job.out}/feedback")}
    assert found == {("click", 2.0), ("buy", 9.5)}
