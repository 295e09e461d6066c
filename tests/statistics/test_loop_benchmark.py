"""The closed loop's own parts: faults, the oracle, the worst week, and a short life."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks.learners.challenger import logger_policy
from benchmarks.loop import _world, clean, planted
from benchmarks.loop._challengers import (
    HEADS,
    Challenger,
    Memory,
    Nights,
    best_of_class,
    heads_of,
    item_mean_of,
    nights_of,
)
from benchmarks.loop._costs import BETWEEN, FIRST, TEST, costs, states_of
from benchmarks.loop._faults import TurnedHead, as_logged
from benchmarks.loop._gate import Look, Registry
from benchmarks.loop._life import life
from benchmarks.loop._systems import GATED, ITEM_MEAN, UNGATED
from benchmarks.loop._validation import reason_to_stop
from benchmarks.loop._world import QUICK, Past, Size, world_of
from benchmarks.loop.planted import worst_week
from mrlm.bandit_log.objectives import north_star
from mrlm.policies.uniform import Uniform
from mrlm.promotion.record.ledger import Entry

SIZE = Size(seeds=1, nights=4, users=40, max_slots=100)


@pytest.fixture(scope="module")
def past() -> Past:
    """Four nights that chance served."""
    world, found = world_of(0, SIZE), Past()
    for _ in range(SIZE.nights):
        shown = world.show(Uniform())
        found.add(shown.log, shown, stopped=False)
    return found


def test_nights_are_used_once_their_north_star_is_final(past: Past) -> None:
    names = [str(log.night[0]) for log in past.logs]
    assert past.final == names[:-1]
    assert replace(past, stopped={names[1]}).final == [names[0], names[2]]
    many = [str(np.datetime64("2026-11-09") + k) for k in range(8)]
    assert nights_of(many, set()) == Nights(many[:4], many[4:6], many[6:])
    assert nights_of(many[:6], set()) == Nights(many[:3], many[3:5], many[5:6])
    assert nights_of(many, {many[6]}) == Nights(many[:5], many[5:7], many[7:])


def test_wrong_propensities_stop_a_night_and_right_ones_do_not() -> None:
    world = world_of(0, QUICK)
    shown = [world.show(logger_policy()).log for _ in range(4)]
    assert not any(reason_to_stop(log) for log in shown)
    assert all(reason_to_stop(as_logged(log, "wrong propensities")) for log in shown)


def test_faults_are_in_the_log_alone(past: Past) -> None:
    log = past.logs[0]
    assert as_logged(log, None) is log
    wrong = as_logged(log, "wrong propensities")
    offsets = log.decisions.offsets
    for d in range(20):
        own = slice(offsets[d], offsets[d + 1])
        np.testing.assert_array_equal(
            wrong.candidate_propensity[own], np.roll(log.candidate_propensity[own], 1)
        )
    np.testing.assert_array_equal(wrong.propensity, wrong.candidate_propensity[log.shown])
    reversed_ = as_logged(log, "reversed label")
    star = log.column(north_star(log.objectives).name)
    np.testing.assert_array_equal(reversed_.rewards[:, star], 1 - log.rewards[:, star])
    others = np.arange(len(log.objectives)) != star
    np.testing.assert_array_equal(reversed_.rewards[:, others], log.rewards[:, others])


def test_the_oracle_beats_what_it_starts_from_and_a_turned_head_loses(past: Past) -> None:
    nights = Nights(past.final[:2], past.final[2:], [])
    model = heads_of(past, nights)
    log = past.logs[-1]
    truth = past.truth[-1][:, log.column(north_star(log.objectives).name)]

    def value(policy: object) -> float:
        return float(np.exp(policy.log_probabilities(log.decisions)) @ truth) / len(log)  # type: ignore[attr-defined]

    best = best_of_class(log, truth, (model, item_mean_of(past, nights)), Uniform())
    assert value(best) > 1.1 * value(Uniform())
    # Of the class, nothing near it is better.
    for step in (-0.2, 0.2):
        for k in range(len(best.theta)):
            theta = best.theta.copy()
            theta[k] = np.clip(theta[k] + step, -8, 8)
            moved = type(best)(**{**vars(best), "theta": theta})
            assert value(moved) <= value(best) + 1e-4
    turned = TurnedHead(model, model.north_star).score(log.decisions)
    straight, place = model.score(log.decisions), model.columns.index(model.north_star)
    np.testing.assert_array_equal(turned[:, place], -straight[:, place])
    others = [k for k in range(len(model.columns)) if k != place]
    np.testing.assert_array_equal(turned[:, others], straight[:, others])


def test_a_challenger_under_test_chooses_its_share(past: Past, tmp_path: Path) -> None:
    first = logger_policy()
    registry = Registry.begin(tmp_path, first)
    assert registry.serving is first
    model = heads_of(past, Nights(past.final[:2], past.final[2:], []))
    look = Look("n-loop", Nights([], [], []), "n-loop")
    registry.keep(look, Challenger(Uniform(), model, Memory()))
    entry = Entry("judged", "n-loop", 2, "loop", "n", "", "refuse", champion_version=1)
    registry.ledger.append(replace(entry, gate_nights=("2026-11-12",), goes_on=True))
    decisions = past.logs[-1].decisions
    both, own, other = (
        np.exp(p.log_probabilities(decisions)) for p in (registry.serving, first, Uniform())
    )
    share = _world.TRIAL_SHARE
    np.testing.assert_allclose(both, (1 - share) * own + share * other)


def test_the_worst_week_is_seven_nights_in_a_row() -> None:
    value = np.ones((2, 10))
    value[0, 2:5] = 0.0
    np.testing.assert_allclose(worst_week(value), [4 / 7, 1.0])
    np.testing.assert_allclose(worst_week(value[:, :4]), [0.5, 1.0])


def test_every_slot_of_a_short_life_is_accounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    size = Size(seeds=1, nights=8, users=40, max_slots=100)
    small = HEADS.model_copy(update={"epochs": 1, "components": 8, "hidden": 8, "projection": 4})
    monkeypatch.setattr("benchmarks.loop._challengers.HEADS", small)
    for system in (GATED, ITEM_MEAN):
        found = life(system, 1, size, {})
        assert sum(found["slots"]) == found["scheduled"] > 0
        assert found["twice"] == 0
        assert len(found["value"]) == size.nights
    assert found["value"][0] == pytest.approx(life("frozen", 1, size, {})["value"][0])


def test_what_gated_loses_adds_up_over_what_its_gate_was_doing() -> None:
    """Six nights: a test before the first promotion, which ends it, and another, which fails."""
    said = ["on trial: x", "promoted: x", "on trial: y", "given up: y"]
    told = {str(night): text for night, text in enumerate(said, 1)}
    gated = {**made_up(0.2, 6), "told": told}
    assert list(states_of(gated)) == [FIRST, FIRST, TEST, BETWEEN, TEST, BETWEEN]
    free = {**made_up(0.25, 6), "value": [0.2, 0.2, 0.2, 0.3, 0.3, 0.3]}
    rows = costs({GATED: [gated], UNGATED: [free]}, "clean")
    assert [row.ours for row in rows] == pytest.approx([0.0, 0.1 / 1.5, 0.2 / 1.5])
    assert "2.0 nights a seed" in rows[0].note


def test_quick_runs_are_smaller_than_full_ones() -> None:
    assert _world.QUICK.nights < _world.FULL.nights
    assert _world.QUICK.seeds < _world.FULL.seeds


def made_up(value: float, nights: int, promoted: int | None = None) -> dict[str, object]:
    """A life of one value."""
    told = {} if promoted is None else {str(promoted): "promoted the challenger"}
    return {
        "value": [value] * nights,
        "slots": [10] * nights,
        "scheduled": 10 * nights,
        "twice": 0,
        "new": [5] * nights,
        "new_shown": [2] * nights,
        "told": told,
    }


def test_bars_hold_and_fail_by_what_the_lives_were(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    picture = tmp_path / "images" / "loop.svg"
    monkeypatch.setattr(clean, "PICTURE", picture)

    def judged(part: ModuleType, **values: float) -> dict[str, bool]:
        lives = {name.replace("_", " "): [made_up(v, 30, 8)] * 2 for name, v in values.items()}
        monkeypatch.setattr(part, "lives", lambda *_: lives)
        return {row.measure: row.holds for row in part.run(False) if row.holds is not None}

    good = judged(clean, gated=0.3, ungated=0.301, frozen=0.2, item_mean=0.25, oracle=0.4)
    assert len(good) == 5
    assert all(good.values())
    assert picture.read_text().count("item mean") == 1
    bad = judged(clean, gated=0.2, ungated=0.301, frozen=0.2, item_mean=0.25, oracle=0.4)
    assert sum(bad.values()) == 2, "slots are accounted for, and new items are shown"
    assert all(judged(planted, gated=0.3, ungated=0.2).values())
    assert not all(judged(planted, gated=0.2, ungated=0.2).values())
