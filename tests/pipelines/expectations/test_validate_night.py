from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mrlm.bandit_log import Objective
from pipelines.expectations.event_delivery import EventCounts
from pipelines.expectations.run import validate_night
from pipelines.settings.input_tables import Inputs, InputTable
from pipelines.settings.model import Settings
from pipelines.settings.users_past import State

pytestmark = pytest.mark.spark
NIGHT = "2026-11-10"
ROWS = 600
Tables = dict[str, list[dict[str, Any]]]

SETTINGS = Settings(
    inputs=Inputs(
        impressions=InputTable(path="i"), feedback=InputTable(path="f"), items=InputTable(path="m")
    ),
    state=State(history_objective="click"),
    objectives=[Objective("click", "feedback", "north_star", event="click")],
)
USUAL = {"impressions": ROWS, "feedback_rate": 0.5}


def true_night(seed: int = 0) -> Tables:
    """A night whose propensities are those its items were drawn with."""
    rng = np.random.default_rng(seed)
    day = dt.date.fromisoformat(NIGHT)
    noon = dt.datetime(day.year, day.month, day.day, 12, tzinfo=dt.UTC)
    impressions, feedback = [], []
    for k in range(ROWS):
        p = rng.dirichlet(np.full(6, 2.0)) * 0.9 + 0.1 / 6
        p /= p.sum()
        a = int(rng.choice(6, p=p))
        row = {
            "request_id": f"r{k}",
            "ts": noon,
            "night": day,
            "arrival": day,
            "user": f"u{k % 50}",
            "session_id": None,
            "scene": "home",
            "position": 1,
            "item_id": f"m{a}",
            "propensity": float(p[a]),
            "candidates": [f"m{i}" for i in range(6)],
            "candidate_propensities": p.tolist(),
            "propensity_kind": "conditional",
            "policy_id": "p",
            "context": {},
        }
        impressions.append(row)
        if k % 2:
            feedback.append(
                {
                    "event_id": f"e{k}",
                    "request_id": f"r{k}",
                    "item_id": f"m{a}",
                    "ts": noon,
                    "arrival": day,
                    "event": "click",
                    "value": 1.0,
                    "impression_night": day,
                }
            )
    items = [
        {
            "item_id": f"m{i}",
            "text": f"Item {i}",
            "categories": [],
            "provider": None,
            "attributes": {},
            "updated_at": None,
        }
        for i in range(6)
    ]
    return {"impressions": impressions, "feedback": feedback, "items": items}


def judge(
    spark: Any,
    folder: Path,
    tables: Tables,
    counts: Callable[[dict], None] = lambda c: None,
    trailing: list[dict] | None = None,
    trailing_events: list[EventCounts] | None = None,
) -> dict[str, Any]:
    from spark_jobs.contract.schemas import CLEAN

    folder.mkdir(exist_ok=True)
    found: dict[str, Any] = {"catalog": 6}
    for table, rows in tables.items():
        schema = CLEAN[table]
        values = [tuple(r[n] for n in schema.names) for r in rows]
        spark.createDataFrame(values, schema).coalesce(1).write.parquet(str(folder / table))
        found[table] = {"raw": len(rows), "clean": len(rows), "quarantined": {}}
    counts(found)
    (folder / "counts.json").write_text(json.dumps(found))
    return validate_night(
        spark, folder, NIGHT, SETTINGS, trailing or [], trailing_events or [], folder
    )


def failures(verdict: dict[str, Any]) -> set[tuple[str, str, str]]:
    both = verdict["failed"] + verdict["warnings"]
    return {(f["table"], f["expectation"], f["severity"]) for f in both}


def test_true_night_passes_and_leaves_docs(spark, tmp_path: Path):
    verdict = judge(spark, tmp_path, true_night(), trailing=[USUAL])
    assert failures(verdict) == set()
    assert verdict["verdict"] == "passed"
    assert set(verdict["tables"].values()) == {"passed"}
    assert verdict["statistics"]["impressions_ratio"] == 1
    assert abs(verdict["statistics"]["inverse_propensity_gap"]) < 0.25
    assert (tmp_path / "data_docs" / "index.html").is_file()
    json.dumps(verdict)


def test_statistics_do_not_depend_on_how_rows_lie(spark, tmp_path: Path):
    tables = true_night()
    one = judge(spark, tmp_path / "one", tables, trailing=[USUAL])
    turned = {name: rows[::-1] for name, rows in tables.items()}
    other = judge(spark, tmp_path / "other", turned, trailing=[USUAL])
    assert other == one


def _halve(tables: Tables) -> None:
    for row in tables["impressions"]:
        row["propensity"] /= 2
        row["candidate_propensities"] = [q / 2 for q in row["candidate_propensities"]]


def _halve_unlogged(tables: Tables) -> None:
    for row in tables["impressions"]:
        row["propensity"] /= 2
        row["candidate_propensities"] = None


def _other_policy(tables: Tables) -> None:
    """Propensities of a policy that did not choose; each row is consistent in itself."""
    rng = np.random.default_rng(1)
    for row in tables["impressions"]:
        q = rng.dirichlet(np.full(6, 0.6)) * 0.9 + 0.1 / 6
        q /= q.sum()
        row["candidate_propensities"] = q.tolist()
        row["propensity"] = float(q[int(row["item_id"][1:])])


def _several(tables: Tables) -> None:
    """One fault for each row-level rule, in rows of their own."""
    rows = tables["impressions"]
    rows[1]["request_id"] = "r0"
    rows[2]["user"] = None
    rows[3]["propensity"] = 0.0
    rows[4]["candidates"], rows[4]["candidate_propensities"] = [], None
    rows[5]["item_id"] = "m99"
    rows[6]["candidate_propensities"] = [0.5] * 6
    rows[7]["propensity"] *= 0.99
    rows[8]["night"] = dt.date(2026, 11, 1)
    rows[9]["propensity_kind"] = "slate"
    tables["feedback"][1]["event_id"] = tables["feedback"][0]["event_id"]
    tables["feedback"][2]["value"] = float("nan")
    tables["feedback"][3]["ts"] += dt.timedelta(days=1)
    tables["feedback"][4]["event"] = "klick"
    tables["items"][1]["item_id"] = "m0"
    tables["items"][2]["text"] = " "


def test_every_row_rule_finds_its_row(spark, tmp_path: Path):
    tables = true_night()
    _several(tables)
    verdict = judge(spark, tmp_path, tables)
    rows = {(f["table"], f["expectation"]): f["rows"] for f in verdict["failed"]}
    rows |= {(f["table"], f["expectation"]): f["rows"] for f in verdict["warnings"]}
    found = {name: [r.get("request_id") for r in shown] for name, shown in rows.items()}
    i = "impressions"
    assert found[i, "one row a shown slot"] == ["r0", "r0"]
    assert found[i, "known user"] == ["r2"]
    assert found[i, "propensity in range"] == ["r3"]
    assert found[i, "candidates"] == ["r4"]
    assert set(found[i, "shown item is a candidate"]) == {"r4", "r5"}
    assert found[i, "candidate propensities sum to 1"] == ["r6"]
    assert {"r7"} <= set(found[i, "propensity is the shown candidate's"]) <= {"r3", "r6", "r7"}
    assert found[i, "time near the night"] == ["r8"]
    assert found[i, "propensity of one slot"] == ["r9"]
    assert len(rows["feedback", "one row an event"]) == 2
    assert [r["value"] for r in rows["feedback", "finite value"]] == ["nan"]
    assert [r["nights_late"] for r in rows["feedback", "not from the future"]] == [-1]
    assert [r["event"] for r in rows["feedback", "declared event"]] == ["klick"]
    assert len(rows["items", "one row an item"]) == 2
    assert [r["item_id"] for r in rows["items", "items with text"]] == ["m2"]
    assert set(verdict["tables"].values()) == {"stopped"}
    warned = {(f["table"], f["expectation"]) for f in verdict["warnings"]}
    assert ("feedback", "declared event") in warned
    assert ("items", "items with text") in warned


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            _halve,
            {
                "candidate propensities sum to 1",
                "shows follow the propensities",
                "mean 1/propensity is the candidate count",
                "mean log propensity is minus the entropy",
            },
        ),
        (
            _halve_unlogged,
            {"shows follow the propensities", "mean 1/propensity is the candidate count or less"},
        ),
        (
            _other_policy,
            {
                "shows follow the propensities",
                "mean 1/propensity is the candidate count",
                "mean log propensity is minus the entropy",
            },
        ),
    ],
)
def test_wrong_propensities_stop_impressions_alone(
    spark, tmp_path: Path, fault: Callable[[Tables], None], expected: set[str]
):
    tables = true_night()
    fault(tables)
    verdict = judge(spark, tmp_path, tables)
    assert {f["expectation"] for f in verdict["failed"]} == expected
    assert verdict["tables"] == {
        "impressions": "stopped",
        "feedback": "passed",
        "items": "passed",
    }
    assert verdict["verdict"] == "stopped"


def test_volumes_against_trailing_nights_warn_and_no_feedback_stops(spark, tmp_path: Path):
    tables = true_night() | {"feedback": []}

    def many_in_quarantine(counts: dict) -> None:
        counts["items"] |= {"raw": 12, "quarantined": {"wrong_type": 6}}
        counts["impressions"] |= {"raw": ROWS + 2, "quarantined": {"unknown_item": 2}}

    usual = [{"impressions": 5 * ROWS, "feedback_rate": 0.5}]
    verdict = judge(spark, tmp_path, tables, many_in_quarantine, usual)
    assert failures(verdict) == {
        ("impressions", "as many impressions as usual", "warning"),
        ("impressions", "unknown items", "critical"),
        ("feedback", "some feedback", "critical"),
        ("feedback", "as much feedback as usual", "warning"),
        ("items", "items in quarantine", "warning"),
    }
    assert verdict["tables"] == {
        "impressions": "stopped",
        "feedback": "stopped",
        "items": "passed",
    }


def test_missing_column_stops_its_table(spark, tmp_path: Path):
    from spark_jobs.contract.schemas import CLEAN

    counts: dict[str, Any] = {"catalog": 1}
    for table, schema in CLEAN.items():
        rows = spark.createDataFrame([], schema)
        rows = rows.drop("value") if table == "feedback" else rows
        rows.write.parquet(str(tmp_path / table))
        counts[table] = {"raw": 1, "clean": 0, "quarantined": {}}
    with_catalog(spark, tmp_path)
    (tmp_path / "counts.json").write_text(json.dumps(counts))
    verdict = validate_night(spark, tmp_path, NIGHT, SETTINGS, [], [], tmp_path)
    assert [(f["table"], f["expectation"]) for f in verdict["failed"]] == [
        ("feedback", "columns of the contract"),
        ("impressions", "enough impressions"),
    ]


def told(number: int, **changed: Any) -> list[dict[str, Any]]:
    """Events that name no request."""
    day = dt.date.fromisoformat(NIGHT)
    noon = dt.datetime(day.year, day.month, day.day, 12, tzinfo=dt.UTC)
    usual = {"item_id": "m1", "ts": noon, "night": day, "arrival": day, "event": "view"}
    return [
        {"event_id": f"h{k}", "user": f"u{k % 50}", "value": 1.0, **usual, **changed}
        for k in range(number)
    ]


def with_catalog(spark: Any, folder: Path) -> Path:
    from spark_jobs.contract.schemas import CATALOG

    empty = dict.fromkeys(CATALOG.names)
    items = [{**empty, "item_id": f"m{i}", "text": f"Item {i}"} for i in range(6)]
    rows = [tuple(item.values()) for item in items]
    spark.createDataFrame(rows, CATALOG).write.parquet(str(folder / "catalog"))
    return folder


def test_a_history_is_judged_where_there_is_one(spark, tmp_path: Path) -> None:
    usual = [USUAL | {"history": 100}]
    folder = with_catalog(spark, tmp_path)
    verdict = judge(spark, folder, {**true_night(), "history": told(90)}, trailing=usual)
    assert failures(verdict) == set()
    assert verdict["statistics"]["history_ratio"] == pytest.approx(0.9)
    assert "history" not in verdict["tables"]


def test_faults_of_a_history_warn_and_stop_no_night(spark, tmp_path: Path) -> None:
    tomorrow = dt.date.fromisoformat(NIGHT) + dt.timedelta(1)
    wrong = [
        *told(20),
        *told(5),
        *told(10, item_id="M1"),
        *told(1, night=tomorrow),
        *told(1, value=float("nan")),
    ]

    def half_in_quarantine(counts: dict[str, Any]) -> None:
        counts["history"] |= {"raw": 2 * len(wrong), "quarantined": {"wrong_type": len(wrong)}}

    tables = {**true_night(), "history": wrong}
    usual = [USUAL | {"history": 100}]
    folder = with_catalog(spark, tmp_path)
    verdict = judge(spark, folder, tables, half_in_quarantine, usual)
    assert failures(verdict) == {
        ("history", name, "warning")
        for name in (
            "one row an event",
            "finite value",
            "not from the future",
            "items of the catalogue",
            "history in quarantine",
            "as many events of users as usual",
        )
    }
    assert verdict["verdict"] == "passed"
    assert {f["owner"] for f in verdict["warnings"]} == {"whoever delivers the events of users"}


@pytest.mark.statistics
def test_true_propensities_with_heavy_tails_are_not_stopped():
    """No false stop in 300 true nights of a logger with a floor of 1 %; the rule allows about 1e-6.

    The sample's own standard error would stop some of them: large values of 1/p are too rare.
    """
    from pipelines.expectations.impressions import _propensity_rules

    rng = np.random.default_rng(7)
    k, n, floor = 20, 400, 0.01
    p = np.full(k, floor / k)
    p[0] += 1 - floor
    variance = (1 / p).sum() - k**2
    stopped, sample_stopped = 0, 0
    for _ in range(300):
        inverse = 1 / p[rng.choice(k, n, p=p)]
        gap = inverse.mean() / k - 1
        found = {
            "slots": n,
            "logged_slots": n,
            "inverse_propensity_gap": gap,
            "inverse_propensity_error": np.sqrt(variance / n) / k,
        }
        (rule,) = _propensity_rules(SETTINGS.validation, found)
        bounds = rule.arguments
        stopped += not bounds["min_value"] <= gap <= bounds["max_value"]
        sample_stopped += abs(gap) > max(0.25, 5 * inverse.std() / np.sqrt(n) / k)
    assert stopped == 0
    assert sample_stopped > 0


def usual_events(clicks: int = 50) -> list[EventCounts]:
    """Seven nights of 600 slots over six items, half of them clicked."""
    hours = [0] * 12 + [6 * clicks] + [0] * 11
    by_item = pa.table(
        {
            "item_id": [f"m{i}" for i in range(6)],
            "shows": pa.array([100] * 6, pa.int64()),
            "hits_0": pa.array([clicks] * 6, pa.int64()),
        }
    )
    return [EventCounts(by_item, {"click": hours})] * 7


def _by_event(counts: dict, **found: int) -> None:
    rows = {"clean": counts["feedback"]["clean"], "attributed": counts["feedback"]["clean"]}
    counts["events"] = {"click": rows | found}


def test_a_night_whose_events_came_is_whole(spark, tmp_path: Path):
    verdict = judge(spark, tmp_path, true_night(), counts=_by_event, trailing_events=usual_events())
    assert failures(verdict) == set()
    found = verdict["deliveries"]["click"]
    assert (found["state"], found["lost"], found["missing"]) == ("whole", 0, [])
    # 300 clicks a night: a loss of so many percent is the smallest that shows.
    assert 0.1 < found["smallest_loss"] < 0.4
    assert verdict["events_by_hour"]["click"][12] == 300
    assert any("click events lost at random show from" in line for line in verdict["limits"])
    json.dumps(verdict)


def test_events_that_did_not_come_are_named_and_unknown(spark, tmp_path: Path):
    night = true_night()
    night["feedback"] = [{**row, "event": "scroll"} for row in night["feedback"]]
    verdict = judge(
        spark,
        tmp_path,
        night,
        counts=lambda c: c.update(events={"click": {}}),
        trailing=[USUAL],
        trailing_events=usual_events(),
    )
    assert ("feedback", "all click events arrived", "warning") in failures(verdict)
    named = next(w for w in verdict["warnings"] if w["expectation"] == "all click events arrived")
    assert named["expected"].startswith("about 3")
    assert "instead of 0" in named["expected"]
    found = verdict["deliveries"]["click"]
    assert found["state"] == "unknown"
    assert "rate" in found["missing"]


def test_feedback_that_joins_nothing_stops_the_feedback(spark, tmp_path: Path):
    night = true_night()
    for row in night["feedback"]:
        row["impression_night"] = None
    verdict = judge(
        spark,
        tmp_path,
        night,
        counts=lambda c: _by_event(c, attributed=0, unattributed=len(night["feedback"])),
    )
    assert ("feedback", "feedback of known impressions", "critical") in failures(verdict)
    assert verdict["tables"]["feedback"] == "stopped"
    assert verdict["tables"]["impressions"] == "passed"


def test_events_that_cannot_be_read_are_unknown_beyond_a_share(spark, tmp_path: Path):
    verdict = judge(
        spark,
        tmp_path,
        true_night(),
        counts=lambda c: _by_event(c, placed=120),
        trailing_events=usual_events(),
    )
    assert ("feedback", "readable click events", "warning") in failures(verdict)
    assert verdict["deliveries"]["click"]["state"] == "unknown"
    assert verdict["deliveries"]["click"]["unread"] == 120
