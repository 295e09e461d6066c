from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState
from mrlm.ope.intervals import estimates
from mrlm.ope.nights.hindcast import Lift, Promotion, judge_over_nights
from mrlm.ope.nights.realised import over_nights
from mrlm.ope.nights.tomorrow import two_way_variance
from mrlm.ope.table import LoggedTable


def nights(make_batch, number):
    batches = [make_batch(seed=t, n=200, users=40, missing=0.0) for t in range(number)]
    return {str(t): EvaluationState.of(ESTIMATORS["dr"](b)) for t, b in enumerate(batches)}


def test_one_night_is_its_own_estimate(make_batch):
    states = nights(make_batch, 1)
    assert over_nights(states, 0.9) == estimates(states["0"], 0.9)


def test_several_nights_are_one_estimate_with_the_luck_of_nights(make_batch):
    states = nights(make_batch, 5)
    found = over_nights(states, 0.9)
    merged = states["0"]
    for t in range(1, 5):
        merged = merged.merge(states[str(t)])
    errors = np.sqrt(two_way_variance(states))
    for error, (name, alone) in zip(errors, estimates(merged, 0.9).items(), strict=True):
        e = found[name]
        assert (e.value, e.certified) == (alone.value, alone.certified)
        assert e.standard_error == pytest.approx(error)
        assert e.standard_error >= alone.standard_error
        assert e.lower <= alone.lower <= alone.upper <= e.upper


def test_no_nights_are_refused():
    with pytest.raises(ValueError, match="no nights"):
        over_nights({}, 0.95)


def test_degrees_of_freedom_are_of_nights_as_far_as_nights_differ(make_batch):
    g = np.random.default_rng(1)
    apart = over_nights(world(g, 4, 5.0), 0.9)["lift"]
    assert apart.degrees_of_freedom == pytest.approx(3, abs=0.1)
    alike = over_nights(world(g, 4, 0.0), 0.9)["lift"]
    assert alike.degrees_of_freedom > 20
    states = nights(make_batch, 4)
    before = over_nights(states, 0.9)
    nothing = make_batch(seed=9, n=200, users=40, missing=1.0)
    states["empty"] = EvaluationState.of(ESTIMATORS["dr"](nothing))
    for name, e in over_nights(states, 0.9).items():
        assert e.degrees_of_freedom == pytest.approx(before[name].degrees_of_freedom, rel=0.5)


def world(g, number, deviation):
    """Nights of 300 of 600 users with tastes of their own: mean 1, standard error .058 by users."""
    taste = g.normal(size=600)
    found = {}
    for t in range(number):
        user = g.choice(600, 300, replace=False)
        noise = np.sqrt(0.5) * (taste[user] + g.normal(size=300))
        table = LoggedTable(
            cluster=user,
            target=np.ones(300),
            propensity=np.ones(300),
            rewards=(1 + deviation * g.normal() + noise)[:, None],
            objectives=("lift",),
        )
        found[str(t)] = EvaluationState.of(ESTIMATORS["snips"](table))
    return found


@pytest.mark.statistics
@pytest.mark.parametrize("deviation", [0.0, 0.06, 0.12])
def test_the_luck_of_nights_raises_few_false_alarms(deviation):
    """A lift that is just what was promised, looked at after each of 8 nights.

    The looks may alarm falsely in .15 of the runs: of 100, 27 or more have
    probability .002. With the errors of users alone, deviations of .12 alarm in more.
    """
    g = np.random.default_rng(5)
    promise = Lift(1.0, 0.0, 1e9)
    alarms = naive = 0
    for _ in range(100):
        states = world(g, 8, deviation)
        looks, by_users = [], []
        for t in range(1, 9):
            so_far = dict(list(states.items())[:t])
            e = over_nights(so_far, 0.95)["lift"]
            merged = estimates(reduce(EvaluationState.merge, so_far.values()), 0.95)["lift"]
            for kept, found in ((looks, e), (by_users, merged)):
                lift = Lift(
                    found.value, found.standard_error, found.degrees_of_freedom, found.skewness
                )
                kept.append(Promotion(2, "a", promise, 0.975, lift, tuple(so_far)))
        alarms += judge_over_nights(looks, 365, 8, error=0.15).alarm
        naive += judge_over_nights(by_users, 365, 8, error=0.15).alarm
    assert alarms < 27
    assert deviation < 0.1 or naive >= 27
