from __future__ import annotations

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState
from mrlm.ope.intervals import estimates
from mrlm.ope.nights.hindcast import Lift, Promotion, judge_over_nights, judge_promotion
from mrlm.ope.nights.realised import over_nights
from mrlm.ope.nights.spending import share
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


def test_degrees_of_freedom_are_those_of_nights(make_batch):
    states = nights(make_batch, 4)
    for number in (2, 3, 4):
        some = dict(list(states.items())[:number])
        for e in over_nights(some, 0.9).values():
            assert e.degrees_of_freedom <= number - 1
    nothing = make_batch(seed=9, n=200, users=40, missing=1.0)
    states["empty"] = EvaluationState.of(ESTIMATORS["dr"](nothing))
    assert all(e.degrees_of_freedom <= 3 for e in over_nights(states, 0.9).values())


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
def test_the_luck_of_nights_raises_no_false_alarms(deviation):
    """A lift that is just what was promised, looked at after each of 8 nights.

    The six looks from the third night on may alarm falsely in .4 share(1) (share(1) + ... share(6))
    = .151 of the runs: 30 of 200, of which 48 or more have probability .001. With the degrees of
    freedom of users, and from the first night on, deviations of .12 alarm in more.
    """
    g = np.random.default_rng(5)
    promise = Lift(1.0, 0.0, 1e9)
    alarms = naive = 0
    for _ in range(200):
        states = world(g, 8, deviation)
        looks, by_users = [], []
        for t in range(1, 9):
            so_far = dict(list(states.items())[:t])
            e = over_nights(so_far, 0.95)["lift"]
            for kept, freedom in ((looks, e.degrees_of_freedom), (by_users, e.users - 1)):
                lift = Lift(e.value, e.standard_error, freedom, e.skewness)
                kept.append(Promotion(2, "a", promise, 0.975, lift, tuple(so_far)))
        alarms += judge_over_nights(looks, error=0.4).alarm
        naive += any(
            judge_promotion(p, error=0.4 * share(t)).alarm for t, p in enumerate(by_users, 1)
        )
    assert alarms < 48
    assert deviation < 0.1 or naive >= 48
