from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import BanditLog, Catalog, Objective
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.known_rewards import known_rewards
from mrlm.bandit_log.stored.reader import read_bandit_log
from mrlm.bandit_log.stored.schema import bandit_log_schema, histories_schema
from tests.history_value import history_value

CLICK = Objective(name="click", source="feedback", event="click", transform="any", missing=0.0)
RARE = Objective(name="rare", source="item", attribute="seen", low=100.0, high=0.0)
FRESH = Objective(name="fresh", source="list")
OBJECTIVES = (CLICK, RARE, FRESH)


def catalog() -> Catalog:
    rows = [
        {"item_id": "c", "text": "C", "categories": ["x", "y"], "attributes": [("seen", 50.0)]},
        {"item_id": "a", "text": "A", "categories": ["x"], "attributes": [("seen", 100.0)]},
        {"item_id": "b", "text": "B", "categories": [], "attributes": []},
    ]
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))


def row(**changes: Any) -> dict[str, Any]:
    base = {
        "decision_id": "r1#1",
        "request_id": "r1",
        "night": date(2026, 11, 20),
        "ts": datetime(2026, 11, 20, 10, tzinfo=UTC),
        "user": "u",
        "session": "s",
        "session_step": 0,
        "scene": "home",
        "position": 1,
        "item_id": "c",
        "action": 1,
        "propensity": 0.25,
        "candidates": ["a", "c", "b"],
        "candidate_propensities": [0.5, 0.25, 0.25],
        "propensity_kind": "conditional",
        "policy_id": "p",
        "above": [],
        "reward_click": 1.0,
        "final_click": True,
    }
    return {**base, **changes}


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    schema = bandit_log_schema(OBJECTIVES)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "part-0.parquet")
    return folder


def with_histories(folder: Path, rows: list[dict[str, Any]], entries: list[dict[str, Any]]) -> Path:
    """A night as ``build_log`` writes it; entries are of user u, shown an hour before 10:00."""
    write(folder / "decisions", rows)
    given = [
        {
            "user": "u",
            "shown": datetime(2026, 11, 20, 9, tzinfo=UTC),
            "known_from": datetime(2026, 11, 20, 9, tzinfo=UTC),
            **entry,
        }
        for entry in entries
    ]
    (folder / "histories").mkdir()
    table = pa.Table.from_pylist(given, schema=histories_schema(["click"]))
    pq.write_table(table, folder / "histories" / "part-0.parquet")
    return folder


def seen(log: BanditLog, decision: str) -> list[tuple[str, float | None]]:
    own = log.take(np.flatnonzero(log.decision_id == decision)).decisions
    ids = own.catalog.item_id[own.history.values].tolist()
    values = [None if np.isnan(v) else float(v) for v in history_value(own)]
    return list(zip(ids, values, strict=True))


def test_a_decision_sees_what_was_known_before_its_time_and_not_its_own_request(
    tmp_path: Path,
) -> None:
    def at(hour: int) -> datetime:
        return datetime(2026, 11, 20, hour, tzinfo=UTC)

    rows = [
        row(),
        row(decision_id="r2#1", request_id="r2", ts=at(12)),
        row(decision_id="r3#1", request_id="r3", ts=at(12), user="v"),
        row(decision_id="r4#1", request_id="r4", ts=at(12), user="somebody new"),
    ]
    entries = [
        {"item_id": "b", "known_until": at(11)},
        {"item_id": "b", "known_from": at(11), "reward_click": 1.0},
        {"item_id": "a", "request_id": "r2"},
        {"item_id": "c", "known_from": at(12)},
        {"user": "v", "item_id": "c", "reward_click": 0.0},
    ]
    log = read_bandit_log([with_histories(tmp_path / "x", rows, entries)], catalog(), OBJECTIVES)
    assert log.decisions.histories.objectives == ("click",)
    # At its very time nothing more is known, and nothing has ended.
    assert seen(log, "r1#1") == [("b", None), ("a", None)]
    assert seen(log, "r2#1") == [("b", 1.0)]
    assert seen(log, "r3#1") == [("c", 0.0)]
    assert seen(log, "r4#1") == []


def test_histories_of_several_nights_stay_apart(tmp_path: Path) -> None:
    first = with_histories(tmp_path / "x", [row()], [{"item_id": "a", "reward_click": 1.0}])
    later = row(
        decision_id="r9#1",
        request_id="r9",
        night=date(2026, 11, 21),
        ts=datetime(2026, 11, 21, 9, tzinfo=UTC),
    )
    second = with_histories(tmp_path / "y", [later], [{"item_id": "b"}, {"item_id": "c"}])
    bare = write(tmp_path / "z", [row(decision_id="r5#1", request_id="r5", user="w")])
    log = read_bandit_log([second, bare, first], catalog(), OBJECTIVES)
    assert log.decision_id.tolist() == ["r1#1", "r5#1", "r9#1"]
    assert seen(log, "r1#1") == [("a", 1.0)]
    assert seen(log, "r9#1") == [("b", None), ("c", None)]
    assert seen(log, "r5#1") == []
    # Parts of one log share its histories; parts of two are put one behind the other.
    alone = [read_bandit_log([p], catalog(), OBJECTIVES) for p in (first, second)]
    both = BanditLog.concat([alone[1], alone[0], alone[1]])
    assert seen(both.take(np.array([2])), "r9#1") == [("b", None), ("c", None)]
    assert seen(both.take(np.array([1])), "r1#1") == [("a", 1.0)]
    parts = [log.take(np.array([i])) for i in (2, 0)]
    assert BanditLog.concat(parts).decisions.histories is log.decisions.histories


def test_entries_of_a_user_that_lie_apart_are_brought_together(tmp_path: Path) -> None:
    entries = [{"item_id": "a"}, {"user": "v", "item_id": "c"}, {"item_id": "b"}]
    log = read_bandit_log([with_histories(tmp_path / "x", [row()], entries)], catalog(), OBJECTIVES)
    assert seen(log, "r1#1") == [("a", None), ("b", None)]


def test_an_entry_of_an_unknown_item_is_named(tmp_path: Path) -> None:
    night = with_histories(tmp_path / "x", [row()], [{"item_id": "nowhere"}])
    with pytest.raises(ValueError, match="histories, column item_id: item 'nowhere'"):
        read_bandit_log([night], catalog(), OBJECTIVES)


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    second = row(
        decision_id="r1#2", position=2, item_id="a", action=0, above=["c"], propensity=0.6,
        candidates=["a", "b"], candidate_propensities=None, reward_click=None, final_click=False,
    )  # fmt: skip
    log = read_bandit_log([write(tmp_path / "x", [second, row()])], catalog(), OBJECTIVES)
    assert log.decision_id.tolist() == ["r1#1", "r1#2"]
    assert log.decisions.catalog.item_id[log.decisions.candidates.values].tolist() == [
        *("a", "c", "b", "a", "b")
    ]
    assert log.shown.tolist() == [1, 3]
    assert log.candidate_propensity.tolist()[:3] == [0.5, 0.25, 0.25]
    assert np.isnan(log.candidate_propensity[3:]).all()
    assert log.rewards[0].tolist() == [1.0, 0.5, 1.0]
    # Not clicked yet; seen 100 times is not rare; its one category stands above.
    assert np.isnan(log.rewards[1, 0])
    assert log.rewards[1, 1:].tolist() == [0.0, 0.0]
    assert log.final.tolist() == [[True, True, True], [False, True, True]]
    # A folder of decisions alone: nobody looks back on anything.
    assert log.decisions.history.lengths.tolist() == [0, 0]
    assert log.night.tolist() == [date(2026, 11, 20)] * 2


def test_novelty_counts_categories_that_are_not_above(tmp_path: Path) -> None:
    below = row(position=2, above=["a"], candidates=["c", "b"], action=0, item_id="c",
                candidate_propensities=[0.5, 0.5])  # fmt: skip
    log = read_bandit_log([write(tmp_path / "x", [below])], catalog(), OBJECTIVES)
    assert known_rewards(log.decisions, FRESH).tolist() == [0.5, 0.0]
    with pytest.raises(ValueError, match="feedback"):
        known_rewards(log.decisions, CLICK)


def test_take_and_nights_keep_rows_whole(tmp_path: Path) -> None:
    later = row(decision_id="r2#1", night=date(2026, 11, 21), ts=datetime(2026, 11, 21, tzinfo=UTC))
    entries = [{"item_id": "b", "reward_click": 1.0}, {"item_id": "a"}]
    night = with_histories(tmp_path / "x", [row(), later], entries)
    log = read_bandit_log([night], catalog(), OBJECTIVES)
    only = log.on_nights(["2026-11-21"])
    assert only.decision_id.tolist() == ["r2#1"]
    assert only.decisions.history.lengths.tolist() == [2]
    assert len(only.candidate_propensity) == 3
    both = type(log).concat([only, log])
    assert both.decision_id.tolist() == ["r2#1", "r1#1", "r2#1"]
    assert both.shown.tolist() == [1, 4, 7]


def test_an_unknown_item_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"candidates: item 'zz' is not in the catalogue"):
        read_bandit_log(
            [write(tmp_path / "x", [row(candidates=["a", "c", "zz"])])], catalog(), OBJECTIVES
        )


def test_a_log_of_other_objectives_says_which_stage_to_run(tmp_path: Path) -> None:
    other = Objective(name="buy", source="feedback", event="buy")
    with pytest.raises(ValueError, match="build_log"):
        read_bandit_log([write(tmp_path / "x", [row()])], catalog(), (other,))
    with pytest.raises(ValueError, match="no bandit log"):
        read_bandit_log([], catalog(), OBJECTIVES)


def test_a_catalogue_survives_a_round_trip_and_refuses_twins() -> None:
    again = Catalog.from_table(catalog().to_table())
    assert again.to_table().equals(catalog().to_table())
    assert again.codes(np.array(["b", "nobody"], object)).tolist() == [1, -1]
    twins = pa.concat_tables([catalog().to_table(), catalog().to_table()])
    with pytest.raises(ValueError, match="'a' appears more than once"):
        Catalog.from_table(twins)
