from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mrlm.bandit_log import Catalog, Objective
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.known_rewards import known_rewards
from mrlm.bandit_log.reader import read_bandit_log
from mrlm.bandit_log.schema import bandit_log_schema

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
        "history_items": ["b", "a"],
        "history_values": [1.0, None],
        "reward_click": 1.0,
        "final_click": True,
    }
    return {**base, **changes}


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    schema = bandit_log_schema(OBJECTIVES)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "part-0.parquet")
    return folder


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
    assert log.decisions.history_value[:1].tolist() == [1.0]
    assert np.isnan(log.decisions.history_value[1])
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
    log = read_bandit_log([write(tmp_path / "x", [row(), later])], catalog(), OBJECTIVES)
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
