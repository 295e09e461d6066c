from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import BanditLog, Catalog, Objective
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.stored.reader import read_bandit_log
from spark_jobs import build_log
from spark_jobs.build_log import BuildLogJob
from spark_jobs.contract.errors import InputError
from spark_jobs.contract.schemas import FEEDBACK, HISTORY, IMPRESSIONS, UNREAD
from spark_jobs.log.rewards import Delivered
from spark_jobs.log.user_history import histories
from spark_jobs.runtime import output
from tests.history_value import history_value

pytestmark = pytest.mark.spark
MINUTE = dt.timedelta(minutes=1)

OBJECTIVES = (
    Objective(
        "buy", "feedback", "north_star", event="buy", transform="any", missing=0.0, window_nights=1
    ),
    Objective("like", "feedback", event="rating", transform="at_least", threshold=4, missing=None),
    Objective("rating", "feedback", event="rating", missing=None, window_nights=1),
    Objective("novel", "list"),
)


def at(text: str) -> dt.datetime:
    """``"10 09:30"`` is 09:30 UTC on 10 November 2026."""
    day, time = text.split()
    return dt.datetime.fromisoformat(f"2026-11-{day}T{time}:00+00:00")


def night(day: str) -> str:
    return f"2026-11-{day}"


class Lake:
    """Clean tables by arrival night."""

    def __init__(self, spark: Any, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.job = BuildLogJob(
            as_of="2026-11-30",
            nights=(),
            impressions={},
            feedback={},
            objectives=OBJECTIVES,
            history_objective="rating",
            out=str(folder / "log"),
        )

    def shown(self, arrival: str, *slots: dict[str, Any]) -> None:
        rows = []
        for slot in slots:
            row = {
                "user": "u",
                "session_id": None,
                "scene": "home",
                "position": 1,
                "propensity": 0.25,
                "candidates": ["a", "b", "c", "d"],
                "candidate_propensities": None,
                "propensity_kind": "conditional",
                "policy_id": "p",
                "context": {},
                "arrival": at(f"{arrival} 00:00").date(),
            } | slot
            row["ts"] = at(row["ts"])
            row["night"] = row["ts"].date()
            rows.append(tuple(row[n] for n in IMPRESSIONS.names))
        self._write("impressions", arrival, rows, IMPRESSIONS)

    def happened(self, arrival: str, *events: tuple[str, str, str, str, float, str]) -> None:
        """Events (event_id, request_id, item_id, event, value, ts)."""
        rows = [
            (e, r, i, at(ts), at(f"{arrival} 00:00").date(), name, float(value), None)
            for e, r, i, name, value, ts in events
        ]
        self._write("feedback", arrival, rows, FEEDBACK)

    def came_unread(self, arrival: str, *slots: tuple[str, str, str | None]) -> None:
        """Slots (request_id, item_id, event) of which an event could not be read."""
        rows = [(r, i, event, at(f"{arrival} 00:00").date()) for r, i, event in slots]
        self._write("unread", arrival, rows, UNREAD)

    def told(self, arrival: str, *events: tuple[str, str, str, float, str]) -> None:
        """Events that name no request (event_id, item_id, event, value, ts) of user u."""
        rows = []
        for id_, item, name, value, ts in events:
            came = at(f"{arrival} 00:00").date()
            rows.append((id_, "u", item, at(ts), at(ts).date(), came, name, float(value)))
        self._write("history", arrival, rows, HISTORY)

    def _write(self, table: str, arrival: str, rows: list[tuple], schema: Any) -> None:
        folder = str(self.folder / table / arrival)
        output.write(self.spark.createDataFrame(rows, schema), folder, schema)
        getattr(self.job, table)[night(arrival)] = folder

    def build(self, *days: str, **changes: Any) -> BanditLog:
        nights = tuple(night(d) for d in days)
        job = replace(self.job, nights=nights, **changes)
        self.counts = build_log.run(self.spark, job)
        paths = [Path(job.out) / f"night={n}" for n in nights]
        items = [{"item_id": i, "text": i, "categories": [i]} for i in "abcde"]
        catalog = Catalog.from_table(pa.Table.from_pylist(items, ITEMS_SCHEMA))
        return read_bandit_log(paths, catalog, job.objectives)


@pytest.fixture
def lake(spark, tmp_path: Path) -> Lake:
    return Lake(spark, tmp_path)


def names(log: BanditLog, codes: np.ndarray) -> list[str]:
    return [str(log.decisions.catalog.item_id[c]) for c in codes]


def row(log: BanditLog, decision: str) -> int:
    return log.decision_id.tolist().index(decision)


def history(log: BanditLog, decision: str) -> list[tuple[str, float | None]]:
    i = row(log, decision)
    own = log.decisions.take(np.array([i]))
    return [
        (item, None if np.isnan(v) else float(v))
        for item, v in zip(names(log, own.history[0]), history_value(own), strict=True)
    ]


def test_history_is_as_it_stood_at_the_decision(lake: Lake):
    lake.shown(
        "09",
        {"request_id": "r1", "ts": "09 10:00", "item_id": "a"},
        {"request_id": "r1", "ts": "09 10:00", "item_id": "b", "position": 2},
        {"request_id": "other", "ts": "09 11:00", "item_id": "d", "user": "v"},
    )
    lake.shown(
        "10",
        {"request_id": "r2", "ts": "10 10:00", "item_id": "c"},
        {"request_id": "r3", "ts": "10 12:00", "item_id": "d"},
        {"request_id": "r3", "ts": "10 12:00", "item_id": "a", "position": 2},
        {"request_id": "r4", "ts": "10 12:00", "item_id": "b"},
    )
    lake.happened("09", ("e1", "r1", "a", "rating", 3, "09 10:05"))
    lake.happened(
        "10",
        # Changed between r2 and r3.
        ("e2", "r1", "a", "rating", 5, "10 11:00"),
        # At the very time of r3: not known before it.
        ("e3", "r2", "c", "rating", 4, "10 12:00"),
        ("e4", "r3", "d", "rating", 1, "10 12:01"),
    )
    # It happened before r3, but arrived after its night: it was not known.
    lake.happened("11", ("e5", "r1", "b", "rating", 2, "09 10:06"))
    log = lake.build("10")
    assert log.decision_id.tolist() == ["r2#1", "r3#1", "r3#2", "r4#1"]
    assert history(log, "r2#1") == [("a", 3.0), ("b", None)]
    # Equal times are not before; the own request never is, nor another user.
    expected = [("a", 5.0), ("b", None), ("c", None)]
    assert history(log, "r3#1") == expected
    assert history(log, "r3#2") == expected
    assert history(log, "r4#1") == expected


@pytest.mark.parametrize(
    ("length", "nights", "expected"),
    [(9, 30, "abcde"), (3, 30, "cde"), (9, 2, "de"), (0, 30, "")],
)
def test_history_length_and_reach(spark, length: int, nights: int, expected: str):
    rows = [
        ("u", f"r{d}", at(f"{d:02d} 10:00"), at(f"{d:02d} 10:00").date(), "home", 1, item, None)
        for d, item in zip(range(5, 11), "abcdef", strict=True)
    ]
    events = "array<struct<ts:timestamp,event_id:string,event:string,value:double,arrival:date>>"
    slots = spark.createDataFrame(
        rows,
        "user string, request_id string, ts timestamp, night date, scene string, position int, "
        "item_id string, "
        f"events {events}",
    )
    newest = slots.filter("request_id = 'r10'")
    found = histories(slots, newest, OBJECTIVES[2:3], length, nights).orderBy("shown").collect()
    assert "".join(row["item_id"] for row in found) == expected
    assert all(row["known_until"] is None for row in found)


def test_what_should_be_rare_is_one_without_its_event_and_zero_with_it(lake: Lake) -> None:
    fewer = Objective(
        "no_complaint", "feedback", "north_star", event="complaint", transform="none", missing=1.0
    )
    lake.shown("10", *({"request_id": i, "ts": "10 10:00", "item_id": i} for i in "abc"))
    lake.happened("10", ("e1", "a", "a", "complaint", 7, "10 10:05"))
    lake.came_unread("10", ("b", "b", "complaint"), ("a", "a", "complaint"))
    log = lake.build(
        "10",
        objectives=(fewer,),
        history_objective="no_complaint",
        delivered={"no_complaint": Delivered(frozenset({night("10")}))},
    )
    rewards = dict(zip(log.decision_id.tolist(), log.rewards[:, 0].tolist(), strict=True))
    # A complaint of b could not be read: whether there was one is not known. Of a one was.
    assert (rewards["a#1"], rewards["c#1"]) == (0.0, 1.0)
    assert np.isnan(rewards["b#1"])
    assert log.unknown[row(log, "b#1"), 0]


def test_excluded_nights_are_in_no_history(lake: Lake):
    for day, item in (("08", "a"), ("09", "b"), ("10", "c")):
        lake.shown(day, {"request_id": day, "ts": f"{day} 10:00", "item_id": item})
    log = lake.build("10", excluded=(night("09"),))
    assert history(log, "10#1") == [("a", None)]


def test_slots_of_one_request_may_have_their_own_times(lake: Lake):
    lake.shown(
        "10",
        {"request_id": "r1", "ts": "10 10:00", "item_id": "a"},
        {"request_id": "r2", "ts": "10 10:05", "item_id": "b"},
        {"request_id": "r1", "ts": "10 10:09", "item_id": "c", "position": 2},
    )
    log = lake.build("10")
    assert history(log, "r1#1") == []
    assert history(log, "r1#2") == [("b", None)]
    i = row(log, "r1#2")
    assert names(log, log.decisions.above[i]) == ["a"]


def test_above_action_and_sessions(lake: Lake):
    lake.shown(
        "10",
        {"request_id": "r1", "ts": "10 10:00", "item_id": "b", "position": 3},
        {"request_id": "r1", "ts": "10 10:00", "item_id": "a", "position": 1},
        {"request_id": "r1", "ts": "10 10:00", "item_id": "d", "position": 2},
        {"request_id": "r2", "ts": "10 10:30", "item_id": "a"},
        {"request_id": "r3", "ts": "10 11:01", "item_id": "a"},
        {"request_id": "r4", "ts": "10 11:02", "item_id": "a", "session_id": "s", "user": "w"},
        {"request_id": "r5", "ts": "10 18:02", "item_id": "a", "session_id": "s", "user": "w"},
    )
    log = lake.build("10")
    i = row(log, "r1#3")
    assert names(log, log.decisions.above[i]) == ["a", "d"]
    assert log.action[i] == 1
    steps = dict(zip(log.decision_id, zip(log.session, log.session_step, strict=True), strict=True))
    first = steps["r1#1"][0]
    assert [steps[d] for d in ("r1#1", "r1#2", "r1#3", "r2#1")] == [(first, k) for k in range(4)]
    assert steps["r3#1"][0] != first
    assert steps["r3#1"][1] == 0
    assert (steps["r4#1"], steps["r5#1"]) == (("s", 0), ("s", 1))


def test_rewards_windows_and_finality(lake: Lake):
    lake.shown(
        "10",
        {"request_id": "r1", "ts": "10 10:00", "item_id": "a"},
        {"request_id": "r2", "ts": "10 10:00", "item_id": "a", "user": "v"},
    )
    lake.happened(
        "10",
        ("e2", "r1", "a", "rating", 5, "10 11:00"),
        # The last event by time, then by id, counts.
        ("e3", "r1", "a", "rating", 2, "10 11:00"),
        ("e1", "r1", "a", "rating", 4, "10 10:30"),
        ("x1", "r1", "b", "rating", 1, "10 12:00"),
    )
    log = lake.build("10", as_of=night("10"))
    value = {o.name: j for j, o in enumerate(OBJECTIVES)}
    assert log.rewards[row(log, "r1#1"), value["rating"]] == 2
    assert log.rewards[row(log, "r1#1"), value["like"]] == 0
    # No buy yet: unknown while the window is open, 0 once it has closed.
    assert np.isnan(log.rewards[:, value["buy"]]).all()
    assert not log.final[:, value["buy"]].any()
    assert lake.counts[night("10")]["rewarded"] == {"buy": 0, "like": 1, "rating": 1}

    lake.happened(
        "11",
        ("e4", "r1", "a", "rating", 5, "11 09:00"),
        ("b1", "r2", "a", "buy", 1, "11 09:00"),
    )
    lake.happened("12", ("b2", "r1", "a", "buy", 1, "12 09:00"))
    closed = Delivered(frozenset({night("10")}))
    log = lake.build(
        "10", as_of=night("12"), delivered=dict.fromkeys(("buy", "like", "rating"), closed)
    )
    # The rating of night 11 is inside the window of rating (1) and outside that of like (0).
    assert log.rewards[row(log, "r1#1"), value["rating"]] == 5
    assert log.rewards[row(log, "r1#1"), value["like"]] == 0
    # The buy of night 12 came too late; r2 has no rating and missing = None.
    assert log.rewards[row(log, "r1#1"), value["buy"]] == 0
    assert log.rewards[row(log, "r2#1"), value["buy"]] == 1
    assert np.isnan(log.rewards[row(log, "r2#1"), value["rating"]])
    assert log.final[:, [value["buy"], value["like"], value["rating"]]].all()


def test_an_event_that_could_not_be_read_is_unknown_and_never_0(lake: Lake):
    slots = [{"request_id": f"r{i}", "ts": f"10 1{i}:00", "item_id": "a"} for i in range(6)]
    lake.shown("10", *slots)
    lake.happened("10", ("b0", "r0", "a", "buy", 1, "10 11:00"))
    lake.came_unread(
        "10", ("r0", "a", "buy"), ("r1", "a", "buy"), ("r2", "a", "rating"), ("r3", "a", None)
    )
    # Outside of the window: nobody would have counted it.
    lake.came_unread("12", ("r4", "a", "buy"))
    closed = Delivered(frozenset({night("10")}))
    objectives = ("buy", "like", "rating")
    log = lake.build("10", as_of=night("12"), delivered=dict.fromkeys(objectives, closed))
    buy, rating = log.column("buy"), log.column("rating")
    # A second buy would change nothing on r0; on r3 it may have been any event.
    assert log.unknown[:, buy].tolist() == [False, True, False, True, False, False]
    assert log.unknown[:, rating].tolist() == [False, False, True, True, False, False]
    assert (log.final == ~log.unknown)[:, [buy, rating]].all()
    known = log.rewards[log.final[:, buy], buy]
    assert known.tolist() == [1, 0, 0, 0]
    assert np.isnan(log.rewards[log.unknown[:, buy], buy]).all()
    assert lake.counts[night("10")]["unknown"] == {"buy": 2, "like": 2, "rating": 2}
    assert not log.lost.any()


def test_a_doubtful_delivery_leaves_no_reward_final(lake: Lake):
    for day in ("10", "11"):
        lake.shown(day, {"request_id": f"r{day}", "ts": f"{day} 10:00", "item_id": "a"})
    lake.happened("10", ("b0", "r10", "a", "buy", 1, "10 11:00"))
    doubt = Delivered(frozenset({night("11")}), frozenset({night("10")}), {night("11"): 7})
    log = lake.build("10", "11", as_of=night("12"), delivered={"buy": doubt})
    buy = log.column("buy")
    assert log.final[:, buy].tolist() == [False, True]
    assert log.unknown[:, buy].tolist() == [True, False]
    assert log.lost[:, buy].tolist() == [0, 7]
    # What was seen stays to be read; what was not seen is no 0.
    assert log.rewards[:, buy].tolist() == [1, 0]
    assert lake.counts[night("11")]["lost"]["buy"] == 7
    # Not said to be closed: open, which is not unknown.
    like = log.column("like")
    assert not log.final[:, like].any()
    assert not log.unknown[:, like].any()


def test_late_impressions_join_their_own_night(lake: Lake):
    """A slot that arrives a night late, after its feedback, is built with both."""
    lake.shown("10", {"request_id": "r1", "ts": "10 10:00", "item_id": "a"})
    lake.happened("10", ("e1", "late", "b", "rating", 5, "10 09:05"))
    lake.shown("11", {"request_id": "late", "ts": "10 09:00", "item_id": "b"})
    log = lake.build("10", as_of=night("11"))
    assert log.decision_id.tolist() == ["late#1", "r1#1"]
    assert log.rewards[0, 2] == 5
    assert history(log, "r1#1") == [("b", 5.0)]


def test_several_nights_at_once_equal_one_by_one(lake: Lake, tmp_path: Path):
    for day in ("09", "10"):
        lake.shown(
            day,
            *[
                {
                    "request_id": f"{day}{k}",
                    "ts": f"{day} 1{k}:00",
                    "item_id": "abcd"[k],
                    "user": f"u{k % 2}",
                }
                for k in range(4)
            ],
        )
        lake.happened(day, (f"e{day}", f"{day}1", "b", "rating", 3, f"{day} 11:05"))
    folder = tmp_path / "log" / f"night={night('10')}"

    def stored() -> str:
        parts = [folder / name for name in ("decisions", "histories")]
        return str([pq.read_table(part, partitioning=None).to_pylist() for part in parts])

    lake.build("10")
    alone = stored()
    together = lake.build("09", "10", "11")
    assert stored() == alone
    assert len(together) == 8
    # No slot on the 11th: its log is there, and empty.
    assert lake.counts[night("11")]["decisions"] == 0
    assert json.loads((tmp_path / "log" / "counts.json").read_text()) == lake.counts


def test_wrong_jobs_are_refused(lake: Lake):
    with pytest.raises(InputError, match="no impressions"):
        lake.build("10")
    lake.shown("10", {"request_id": "r1", "ts": "10 10:00", "item_id": "a"})
    with pytest.raises(InputError, match="excluded"):
        lake.build("10", excluded=(night("10"),))
    with pytest.raises(InputError, match="novel"):
        lake.build("10", history_objective="novel")


def test_job_survives_json(lake: Lake):
    some = Delivered(frozenset({"2026-11-10"}), frozenset({"2026-11-11"}), {"2026-11-10": 3})
    job = replace(lake.job, nights=("2026-11-10",), delivered={"buy": some})
    assert BuildLogJob.from_json(job.to_json()) == job


def test_the_context_is_carried_into_the_log(spark: Any, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    shown = {"ts": "10 09:00", "item_id": "a"}
    lake.shown(
        "10",
        {"request_id": "r1", "context": {"device": "phone", "hour": "9"}, **shown},
        {"request_id": "r2", "context": None, **shown},
    )
    log = lake.build("10")
    assert len(log) == 2
    folder = Path(lake.job.out) / "night=2026-11-10" / "decisions"
    table = pq.read_table(folder, partitioning=None)
    found = dict(zip(table["request_id"].to_pylist(), table["context"].to_pylist(), strict=True))
    assert {r: dict(c) if c else None for r, c in found.items()} == {
        "r1": {"device": "phone", "hour": "9"},
        "r2": None,
    }


def test_events_that_name_no_request_are_entries_of_the_history(spark: Any, tmp_path: Path) -> None:
    lake = Lake(spark, tmp_path)
    lake.shown(
        "10",
        {"request_id": "r1", "ts": "10 09:00", "item_id": "a"},
        {"request_id": "r2", "ts": "10 12:00", "item_id": "b"},
    )
    lake.told(
        "10",
        ("h1", "c", "VIEW", 1, "10 08:00"),
        ("h2", "d", "rating", 4, "10 10:00"),
        ("h3", "e", "VIEW", 1, "10 13:00"),
    )
    # What arrives later was not known on the night, whenever it was.
    lake.told("11", ("h4", "e", "rating", 5, "10 07:00"))
    log = lake.build("10")
    assert history(log, "r1#1") == [("c", None)]
    assert history(log, "r2#1") == [("c", None), ("a", None), ("d", 4.0)]
    folder = Path(lake.job.out) / "night=2026-11-10" / "histories"
    rows = pq.read_table(folder, partitioning=None).to_pylist()
    told = {r["item_id"]: (r["event"], r["value"], r["position"]) for r in rows if r["event"]}
    assert told == {"c": ("VIEW", 1.0, None), "d": ("rating", 4.0, None)}


def test_every_objective_has_its_rewards_as_they_stood(lake: Lake) -> None:
    lake.shown(
        "09",
        {"request_id": "r1", "ts": "09 10:00", "item_id": "a"},
        {"request_id": "r1", "ts": "09 10:00", "item_id": "b", "position": 2},
    )
    lake.shown(
        "10",
        {"request_id": "r2", "ts": "10 10:00", "item_id": "c"},
        {"request_id": "r3", "ts": "10 12:00", "item_id": "d"},
        {"request_id": "r4", "ts": "10 14:00", "item_id": "d"},
    )
    lake.happened("09", ("e1", "r1", "a", "rating", 4, "09 10:05"))
    lake.happened(
        "10",
        ("e2", "r1", "a", "buy", 1, "10 11:00"),
        ("e3", "r1", "a", "rating", 2, "10 13:00"),
        # After the last decision of the night: nobody has seen it.
        ("e4", "r1", "b", "buy", 1, "10 15:00"),
    )
    # Later than the windows of like (0 nights) and rating (1): counted by neither.
    lake.happened("11", ("e5", "r2", "c", "buy", 1, "10 10:30"))
    log = lake.build("10")
    seen = log.decisions.histories
    assert seen.objectives == ("rating", "buy", "like")

    def rewards(decision: str) -> dict[str, list[float | None]]:
        own = log.decisions.take(np.array([row(log, decision)])).looked_back_on()
        known = [[None if np.isnan(v) else float(v) for v in r] for r in seen.rewards[own.values]]
        return dict(zip(names(log, seen.item[own.values]), known, strict=True))

    assert rewards("r2#1") == {"a": [4.0, None, 1.0], "b": [None, None, None]}
    assert rewards("r3#1")["a"] == [4.0, 1.0, 1.0]
    # The new rating arrived inside the window of rating, and outside that of like.
    assert rewards("r4#1")["a"] == [2.0, 1.0, 1.0]
    assert rewards("r4#1")["c"] == [None, None, None]
    assert rewards("r4#1").keys() == {"a", "b", "c", "d"}


def test_an_entry_is_stored_once_a_night_and_what_no_decision_saw_is_not(lake: Lake) -> None:
    lake.shown("09", {"request_id": "r1", "ts": "09 10:00", "item_id": "a"})
    lake.shown(
        "10", *[{"request_id": f"s{k}", "ts": f"10 1{k}:00", "item_id": "b"} for k in range(5)]
    )
    lake.happened(
        "09",
        ("e1", "r1", "a", "rating", 1, "09 10:05"),
        ("e2", "r1", "a", "rating", 2, "09 10:06"),
        ("e3", "r1", "a", "rating", 3, "09 10:07"),
    )
    log = lake.build("10")
    # The slot of before, and of the night's own all but the last.
    assert len(log.decisions.histories) == 1 + 4
    assert history(log, "s4#1") == [("a", 3.0), *[("b", None)] * 4]
