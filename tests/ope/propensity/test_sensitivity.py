from __future__ import annotations

import itertools

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationBatch
from mrlm.ope.propensity import sensitivity_bounds


def test_gamma_one_is_snips(make_batch):
    batch = make_batch(n=300, users=40)
    found = sensitivity_bounds(batch, [1.0], draws=50)
    value = ESTIMATORS["snips"](batch).value
    for j, bound in enumerate(found):
        assert bound.objective == batch.objectives[j]
        assert bound.value_lower == pytest.approx(value[j], abs=1e-12)
        assert bound.value_upper == pytest.approx(value[j], abs=1e-12)
        assert bound.lower < value[j] < bound.upper


@pytest.mark.parametrize("seed", range(4))
def test_sorting_solves_the_programme(seed, make_batch):
    """Against every corner of the box of weights: the optimum of a ratio of sums is at one."""
    batch = make_batch(seed, n=9, users=9, m=1, missing=0.0)
    gamma = 2.0
    (found,) = sensitivity_bounds(batch, [gamma], draws=2)
    target, odds = batch.target[batch.shown], 1 / batch.propensity - 1
    low, high = target * (1 + odds / gamma), target * (1 + odds * gamma)
    values = []
    for pick in itertools.product([0, 1], repeat=9):
        weight = np.where(pick, high, low)
        values.append(weight @ batch.rewards[:, 0] / weight.sum())
    assert found.value_lower == pytest.approx(min(values), abs=1e-12)
    assert found.value_upper == pytest.approx(max(values), abs=1e-12)


def test_bounds_widen_with_gamma_and_do_not_depend_on_order(make_batch):
    batch = make_batch(n=200, users=50)
    found = sensitivity_bounds(batch, [1.0, 1.5, 3.0], draws=60)[:3]
    for a, b in itertools.pairwise(found):
        assert b.value_lower < a.value_lower
        assert a.value_upper < b.value_upper
        assert b.lower < a.lower
        assert a.upper < b.upper
    order = np.random.default_rng(0).permutation(200)
    again = sensitivity_bounds(batch.take(order), [1.0, 1.5, 3.0], draws=60)[:3]
    for a, b in zip(found, again, strict=True):
        assert a.lower == pytest.approx(b.lower, abs=1e-12)
        assert a.value_upper == pytest.approx(b.value_upper, abs=1e-12)


def confounded(seed, gamma, n=1500, rounds=2):
    """A hidden bit moves the odds of item 1 by gamma or 1 / gamma, and the reward with them.

    The nominal propensity of item 1 is 1/2 and the true ones are gamma / (1 + gamma) and
    1 / (1 + gamma), so the nominal odds are off by exactly gamma, the worst that the model allows.
    """
    g = np.random.default_rng(seed)
    users = np.repeat(np.arange(n // rounds), rounds)
    hidden = g.integers(0, 2, n)
    show = np.where(hidden == 1, gamma, 1.0) / (1 + gamma)
    action = (g.random(n) < show).astype(np.int64)
    reward = (g.random(n) < 0.2 + 0.5 * hidden).astype(float)
    batch = EvaluationBatch(
        cluster=users,
        offsets=np.arange(n + 1) * 2,
        target=np.tile([0.0, 1.0], n),
        shown=np.arange(n) * 2 + action,
        propensity=np.full(n, 0.5),
        rewards=reward[:, None],
        objectives=("click",),
    )
    return batch, 0.45


@pytest.mark.statistics
def test_bounds_of_the_true_strength_cover_and_those_of_none_do_not():
    """100 logs; coverage of at least 95 % falls below 88 with probability under 0.5 %."""
    covered, naive = 0, 0
    for seed in range(100):
        batch, truth = confounded(seed, 2.0)
        none, full = sensitivity_bounds(batch, [1.0, 2.0], draws=200, seed=seed)
        covered += full.lower <= truth <= full.upper
        naive += none.lower <= truth <= none.upper
    assert covered >= 88
    assert naive <= 30


def test_wrong_input_is_refused_and_nothing_known_is_nan(make_batch):
    batch = make_batch()
    with pytest.raises(ValueError, match="Gamma"):
        sensitivity_bounds(batch, [0.5])
    with pytest.raises(ValueError, match="level"):
        sensitivity_bounds(batch, level=1.0)
    blank = make_batch(missing=1.0)
    found = sensitivity_bounds(blank, [2.0], draws=5)
    assert all(np.isnan(b.lower) and b.to_json()["upper"] is None for b in found)
