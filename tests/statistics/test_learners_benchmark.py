"""The smallest form of what the benchmark of learners compares, without its timings."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import _demonstration, learners
from benchmarks._kept import Kept
from benchmarks.learners import challenger, classification, demonstration, nothing_to_gain
from benchmarks.learners._comparison import Values
from benchmarks.learners._context_bandit import LoggedRounds
from benchmarks.learners._peers import field
from mrlm.worlds.objectives import DEMO_OBJECTIVES
from mrlm.worlds.writer import write_replay
from tests.history_value import history_value

USERS = 20


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """One cell of the first row, with the item mean as the only peer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field, "_FIELD", {"item mean": field._FIELD["item mean"]})
        return demonstration.cell(1, {}, USERS)


@pytest.mark.parametrize("name", learners.parts())
def test_a_part_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.learners.{name}").run)


def test_it_is_the_demonstrations_world_without_its_dirt() -> None:
    written = inspect.signature(write_replay).parameters
    assert written["seed"].default == _demonstration.OWN_SEED == _demonstration.seeds(3)[0]
    assert written["nights"].default == _demonstration.NIGHTS
    world = _demonstration.demonstration(1, USERS)
    log = world.log
    assert [o.name for o in log.objectives] == [o.name for o in DEMO_OBJECTIVES]
    assert log.objectives == _demonstration.settings().objective_tuple
    assert len(set(log.decisions.user)) == USERS
    known = history_value(log.decisions)[np.isfinite(history_value(log.decisions))]
    assert set(np.unique(known)) == {0.0, 1.0}
    np.testing.assert_array_equal(world.truth[log.shown], log.rewards[:, log.column("delight")])
    nights = _demonstration.nights_of(world)
    assert (nights[0], len(nights)) == (written["first_night"].default, _demonstration.NIGHTS)
    last = world.on_nights(nights[-1:])
    np.testing.assert_array_equal(last.truth, world.truth[-len(last.truth) :])


def test_every_policy_of_a_cell_is_within_what_is_possible(small: dict[str, Any]) -> None:
    rows = sum(small["rows"].values())
    value = {name: sum(sums) / rows for name, sums in small["sums"].items()}
    assert small["chosen"] in small["estimates"]
    assert value["ours, chosen by the log"] == value[small["chosen"]]
    assert {"item mean", "logger", "oracle", "head delight"} <= set(value)
    assert max(value, key=lambda name: value[name]) == "oracle"
    assert 0 < value["logger"] < value["oracle"] < 1


def test_the_comparison_over_seeds_and_by_user() -> None:
    """Two seeds, two users, by hand."""
    cells = [
        {"rows": {"a": 2, "b": 2}, "sums": {"x": [2.0, 1.0], "y": [1.0, 1.0]}},
        {"rows": {"b": 4}, "sums": {"x": [3.0], "y": [1.0]}},
    ]
    values = Values.of(cells)
    np.testing.assert_allclose(values.by_seed("x"), [0.75, 0.75])
    np.testing.assert_allclose(values.by_seed("y"), [0.5, 0.25])
    row = values.above("x", "y", judged=True)
    assert row.ours == pytest.approx(0.375)
    # t(1) at .95 is 6.31, the standard error .125.
    assert row.holds is False
    assert values.above("x", "y", judged=False).holds is None
    low, high = values.clustered("x", "y")
    # Three more over eight decisions: user a is 1 - 2 * 3/8 above it, user b as much below.
    assert (low + high) / 2 == pytest.approx(3 / 8)
    error = np.sqrt(2 * (0.25 / 8) ** 2 * 2 / 1)
    assert (high - low) / 2 == pytest.approx(6.313751515 * error)


def test_the_challengers_nights_are_those_of_make_run() -> None:
    nights = [f"2026-11-{day:02d}" for day in range(9, 21)]
    found = list(challenger.plans(nights))
    assert [gate for _, _, gate in found] == [
        ["2026-11-15", "2026-11-16"],
        ["2026-11-17"],
        ["2026-11-19"],
    ]
    assert [len(fit) for fit, _, _ in found] == [4, 6, 7]
    for fit, tune_on, gate in found:
        assert len(tune_on) == 2
        assert fit[-1] < tune_on[0] < tune_on[-1] < gate[0]


def test_the_first_champion_is_the_worlds_logger() -> None:
    log = _demonstration.demonstration(1, USERS).log
    found = np.exp(challenger.logger_policy().log_probabilities(log.decisions))
    np.testing.assert_allclose(found, log.candidate_propensity, rtol=1e-9)


@pytest.mark.parametrize("name", nothing_to_gain.WORLDS)
def test_worlds_with_nothing_to_gain_are_what_they_say(name: str) -> None:
    world = nothing_to_gain.WORLDS[name](0)
    p, offsets = world.log.candidate_propensity, world.log.decisions.offsets
    np.testing.assert_allclose(np.add.reduceat(p, offsets[:-1]), 1.0)
    best = np.maximum.reduceat(world.truth, offsets[:-1]).mean()
    logger = p @ world.truth / len(world.log)
    floor = _demonstration.settings().learning.floor
    even = world.truth.mean()
    if name == "a near-optimal logger":
        assert logger == pytest.approx((1 - floor) * best + floor * even, abs=0.002)
    elif name == "90 % unsupported":
        # A few more where the last ones have the same weight.
        assert 0.1 <= np.mean(p > 0) < 0.102
    else:
        fit = world.on_nights(_demonstration.nights_of(world)[: nothing_to_gain.FIT_NIGHTS])
        assert len(fit.log) == 500


def test_what_was_finished_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRLM_KEPT", str(tmp_path / "kept.jsonl"))
    asked: list[int] = []

    def measure() -> list[int]:
        asked.append(1)
        return [7]

    assert Kept("MRLM_KEPT", "", "now").of(["a", 1], measure) == [7]
    with (tmp_path / "kept.jsonl").open("a") as file:
        file.write('\n["now", ["a", 2], [')
    again = Kept("MRLM_KEPT", "", "now")
    assert again.of(["a", 1], measure) == [7]
    assert len(asked) == 1
    for _ in range(2):
        assert Kept("MRLM_KEPT", "", "now").of(["a", 2], measure) == [7]
    assert len(asked) == 2
    Kept("MRLM_KEPT", "", "later").of(["a", 1], measure)
    assert len(asked) == 3


def test_classification_sets_are_left_out_without_their_peers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classification, "PEERS", ("obp", "no_such_package"))
    (row,) = classification.run(quick=True)
    assert (row.ours, row.holds) == (0, None)
    assert "no_such_package; make bench-sets bench-peers" in row.note


def test_of_logged_classes_the_log_chooses_a_policy_that_finds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classification, "MOST_EPOCHS", 3)
    monkeypatch.setattr(classification, "LEAST_EPOCHS", 1)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 900)
    context = np.eye(3)[label] + 0.3 * rng.normal(size=(900, 3))
    action = rng.integers(0, 3, 600)
    reward = (action == label[:600]).astype(np.float64)
    logged = LoggedRounds(context[:600], action, reward, np.full((600, 3), 1 / 3))
    found = classification._ours(logged, context[600:], seed=0)
    assert set(found) == {"chosen", *classification.OURS}
    assert np.mean(found[found["chosen"]] == label[600:]) > 0.9
