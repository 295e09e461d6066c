from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.ope.tomorrow import world
from mrlm.ope import ESTIMATORS, EvaluationState
from mrlm.ope.nights.tomorrow import next_night, two_way_variance


def nights(make_batch, number=6, users=40, name="ips"):
    return {
        str(t): EvaluationState.of(
            ESTIMATORS[name](make_batch(seed=t, n=200, users=users, missing=0.0))
        )
        for t in range(number)
    }


def test_two_way_variance_by_hand(make_batch):
    """V_user + V_night - V_both of a plain mean, from the rows."""
    batches = [make_batch(seed=t, n=200, users=40, m=1, missing=0.0) for t in range(6)]
    y = np.concatenate([b.weight * b.rewards[:, 0] for b in batches])
    user = np.concatenate([b.cluster for b in batches])
    night = np.repeat(np.arange(6), 200)
    both = np.array([f"{n} {u}" for n, u in zip(night, user, strict=True)])

    def one_way(code):
        _, code = np.unique(code, return_inverse=True)
        sums = np.bincount(code, y - y.mean())
        return len(sums) / (len(sums) - 1) * sums @ sums / len(y) ** 2

    states = {str(t): EvaluationState.of(ESTIMATORS["ips"](b)) for t, b in enumerate(batches)}
    parts = one_way(user), one_way(night)
    expected = max(sum(parts) - one_way(both), *parts)
    assert two_way_variance(states)[0] == pytest.approx(expected, rel=1e-10)


def test_two_way_is_never_below_one_way(make_batch):
    for name in ("ips", "snips", "dr"):
        states = nights(make_batch, name=name)
        whole = two_way_variance(states)
        assert (whole > 0).all()
    assert np.isnan(two_way_variance(nights(make_batch, number=1))).all()


@pytest.mark.statistics
@pytest.mark.parametrize(
    ("deviation", "weekdays", "season", "number"),
    [(0.1, False, None, 14), (0.05, True, 7, 21), (0.0, False, None, 10)],
)
def test_covers_the_next_nights_truth(deviation, weekdays, season, number):
    """Of 60 worlds at level .95 at most 9 are missed: more has probability .001."""
    missed = 0
    for seed in range(60):
        states, truth = world(seed, number, deviation, weekdays)
        found = next_night(states, season=season)["click"]
        missed += not found.lower <= truth <= found.upper
    assert missed <= 9


def test_the_spread_of_nights_is_found():
    """Deviations of the nights of 30 %: the mean estimate over 12 worlds is within a quarter."""
    found = [
        next_night(world(seed, 20, 0.3, False)[0])["click"].night_deviation for seed in range(12)
    ]
    assert np.mean(found) == pytest.approx(0.3 * 0.2, rel=0.25)


def test_a_season_needs_two_of_each(make_batch):
    with pytest.raises(ValueError, match="2 of every weekday"):
        next_night(nights(make_batch, 10), season=7)
    with pytest.raises(ValueError, match="3 nights"):
        next_night(nights(make_batch, 2))
    with pytest.raises(ValueError, match="no nights"):
        next_night({})
    with pytest.raises(ValueError, match="between 0 and 1"):
        next_night(nights(make_batch, 3), level=1.0)
    with pytest.raises(ValueError, match="recent must be"):
        next_night(nights(make_batch, 4), recent=0)
    with pytest.raises(ValueError, match="needs 4 in all"):
        next_night(nights(make_batch, 3), recent=1)
    with pytest.raises(ValueError, match="without a season"):
        next_night(nights(make_batch, 14), season=7, recent=2)


def test_recent_nights_alone_tell_the_value(make_batch):
    """A shift of the earlier nights, on which a policy was chosen, moves nothing."""
    states = nights(make_batch, 8)
    shifted = {
        t: replace(s, numerator=s.numerator + 3.0 * s.denominator) if int(t) < 6 else s
        for t, s in states.items()
    }
    found, other = next_night(states, recent=2), next_night(shifted, recent=2)
    for name, expected in found.items():
        assert other[name].value == pytest.approx(expected.value)
        assert other[name].night_deviation == pytest.approx(expected.night_deviation, abs=1e-6)
    last = {t: s for t, s in states.items() if int(t) >= 6}
    mean = np.mean([s.numerator.sum(0) / s.denominator.sum(0) for s in last.values()], axis=0)
    assert [p.value for p in found.values()] == pytest.approx(mean[:, 0])


@pytest.mark.statistics
def test_two_recent_nights_cover_the_next_nights_truth():
    """Six earlier nights and two recent ones: of 60 worlds at level .95 at most 9 are missed."""
    missed = 0
    for seed in range(60):
        states, truth = world(seed, 8, 0.1, False)
        found = next_night(states, recent=2)["click"]
        missed += not found.lower <= truth <= found.upper
    assert missed <= 9
