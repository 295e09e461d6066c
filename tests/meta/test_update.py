"""The meta-update as a pure function of state, arrays and settings."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.settings import TuningSettings
from mrlm.meta.state.meta_state import SCHEMA, MetaState
from mrlm.meta.tune import tune
from mrlm.meta.update import update

NIGHTS = [f"2026-11-{day:02d}" for day in range(10, 15)]


@pytest.fixture
def problem(make_problem):
    made, _ = make_problem(n=3000, users=1500, strength=2.0)
    return replace(made, age=np.random.default_rng(2).integers(0, len(NIGHTS), 3000))


def later(problem):
    """The newest night wants the opposite."""
    rewards = problem.rewards.copy()
    rewards[problem.age == 0, 0] = 1 - rewards[problem.age == 0, 0]
    return replace(problem, rewards=rewards)


def text(state: MetaState) -> str:
    return json.dumps(state.to_json(), sort_keys=True)


def test_the_same_night_again_is_the_same_to_the_bit(problem) -> None:
    settings = TuningSettings(half_life=2.0)
    first = update(MetaState(), problem, NIGHTS, settings, 1)
    again = update(MetaState(), problem, NIGHTS, settings, 1)
    assert first.result == again.result
    assert text(first.state) == text(again.state)
    # With the state of its own run it takes the place of its record.
    after = update(first.state, problem, NIGHTS, settings, 1).state
    assert [r.night for r in after.records] == [NIGHTS[-1]]


def test_without_a_change_or_decay_it_is_the_update_of_all_rounds(problem) -> None:
    done = update(MetaState(), problem, NIGHTS, TuningSettings(), 1)
    assert done.change is not None
    assert not done.change.found
    assert done.dropped == ()
    assert done.told == ""
    assert done.result == tune(problem, TuningSettings(), None, 1)
    assert done.state.since == ""


def test_after_a_change_older_nights_are_left_out_for_good(problem) -> None:
    settings = TuningSettings()
    done = update(MetaState(), later(problem), NIGHTS, settings, 1)
    assert done.change.found
    assert done.state.since == NIGHTS[-1]
    assert done.dropped == tuple(NIGHTS[:-1])
    assert NIGHTS[-1] in done.told
    assert (done.window.age == 0).all()
    assert done.state.records[-1].changed
    # The next night has one more, and the regime stays.
    nights = [*NIGHTS[1:], "2026-11-15"]
    after = update(done.state, problem, nights, settings, 1)
    assert after.state.since == NIGHTS[-1]
    assert after.dropped == tuple(NIGHTS[1:-1])
    assert set(np.unique(after.window.age)) == {0, 1}


def test_a_newest_night_without_known_rewards_is_no_regime_of_its_own(problem) -> None:
    """The change is on the night before it, and both are kept."""
    rewards = problem.rewards.copy()
    rewards[problem.age == 1, 0] = 1 - rewards[problem.age == 1, 0]
    rewards[problem.age == 0, 0] = np.nan
    done = update(MetaState(), replace(problem, rewards=rewards), NIGHTS, TuningSettings(), 1)
    assert done.change.found
    assert (done.change.nights, done.change.age) == (1, 1)
    assert done.dropped == tuple(NIGHTS[:-2])
    assert set(np.unique(done.window.age)) == {0, 1}


def test_a_regime_after_all_nights_keeps_the_newest(problem) -> None:
    state = MetaState(since="2026-12-01")
    done = update(state, problem, NIGHTS, TuningSettings(), 1)
    assert (done.window.age == 0).all()
    assert done.state.since == "2026-12-01"


def test_no_change_is_looked_for_where_settings_say_so(problem) -> None:
    done = update(MetaState(), later(problem), NIGHTS, TuningSettings(change_confidence=None), 1)
    assert done.change is None
    assert done.dropped == ()


def test_half_life_is_a_weight_of_rounds(problem) -> None:
    """A round that counts half is one of two that count whole: mean and error by hand."""
    decayed = problem.decayed(1.0)
    assert decayed.weight.mean() == pytest.approx(1.0)
    ratio = decayed.weight[problem.age == 1][0] / decayed.weight[problem.age == 0][0]
    assert ratio == pytest.approx(0.5)
    whole = problem.rounds(np.repeat(np.arange(3000), 2 ** (4 - problem.age)))
    point = np.array([0.5, 0.3, 0.2, 0.0, 0.1])
    found, expected = (
        PairedLift(p, TunedSoftmax(p), p.rewards[:, 0], p.q[:, 0], "x").lift(point, 2.0)
        for p in (decayed, whole)
    )
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-9)
    assert problem.decayed(None) is problem


def test_some_rounds_are_the_problem_of_these_rounds(problem) -> None:
    index = np.random.default_rng(3).permutation(3000)[:700]
    part = problem.rounds(index)
    np.testing.assert_array_equal(part.features[part.shown], problem.features[problem.shown[index]])
    np.testing.assert_array_equal(np.diff(part.offsets), np.diff(problem.offsets)[index])
    np.testing.assert_array_equal(part.age, problem.age[index])


def test_the_state_is_kept_as_json(problem) -> None:
    state = update(MetaState(), later(problem), NIGHTS, TuningSettings(), 1).state
    assert MetaState.from_json(json.loads(text(state))) == state
    assert state.start(problem.columns).shape == (5,)
    assert state.start(("other",)) is None
    assert MetaState().start(()) is None
    with pytest.raises(ValueError, match=f"schema 99, and this code reads {SCHEMA}"):
        MetaState.from_json({**state.to_json(), "schema": 99})


def test_a_night_that_stays_with_the_champion_leaves_the_last_point(problem) -> None:
    first = update(MetaState(), problem, NIGHTS, TuningSettings(), 1)
    assert first.result.moved
    still = replace(problem, features=0 * problem.features, log_anchor=0 * problem.log_anchor)
    after = update(first.state, still, NIGHTS, TuningSettings(change_confidence=None), 1)
    assert not after.result.moved
    assert after.state.point == first.state.point
    assert not after.state.records[-1].moved


def test_thirty_nights_are_remembered(problem) -> None:
    state = MetaState()
    done = update(state, problem, NIGHTS, TuningSettings(), 1)
    record = done.state.records[0]
    for day in range(40):
        night = str(np.datetime64("2026-12-01") + day)
        state = state.after(problem.columns, done.result.point, "", replace(record, night=night))
    assert len(state.records) == 30
    assert state.records[-1].night == "2027-01-09"


def test_nights_and_rounds_have_to_fit(problem) -> None:
    with pytest.raises(ValueError, match="4 nights old, of 3"):
        update(MetaState(), problem, NIGHTS[:3], TuningSettings(), 1)
