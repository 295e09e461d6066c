"""The conformance test of the sequential estimators: every declared property, true or false."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrlm.bandit_log.ragged import rows
from mrlm.ope import EvaluationState, Properties, difference, estimates
from mrlm.ope.sequential import (
    FQE,
    SEQUENTIAL_ESTIMATORS,
    PerDecisionIS,
    SequentialDR,
    SequentialEstimator,
    SessionBatch,
    sequential_estimators,
)

DISCOUNTS = pytest.mark.parametrize("discount", [1.0, 0.7])
NAMES = list(SEQUENTIAL_ESTIMATORS)
ALL = pytest.mark.parametrize("name", NAMES)


def of(name, discount=1.0):
    return sequential_estimators(discount)[name]


def population(estimator, batch, chance):
    """Limit of the estimate on an infinite log in which session i has this chance."""
    s = estimator(batch)
    above, below = chance @ s.numerator[:, 0], chance @ s.denominator[:, 0]
    return float((above / below) @ s.signs)


def one_session(estimator, batch, chance):
    """Expectation of the estimate from a log of one session."""
    s = estimator(batch)
    return float(chance @ ((s.numerator / s.denominator)[:, 0] @ s.signs))


@ALL
def test_contract(name):
    estimator = SEQUENTIAL_ESTIMATORS[name]
    assert isinstance(estimator, SequentialEstimator)
    assert estimator.name == name
    assert all(isinstance(getattr(estimator.properties, f.name), bool) for f in fields(Properties))
    assert estimator.properties.covers_policy_value == (estimator.assumption is None)
    with pytest.raises(ValueError, match="discount must be"):
        sequential_estimators(0.0)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "fqe"])
@DISCOUNTS
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("history", [False, True])
def test_unbiased_by_exact_enumeration(name, discount, seed, history, make_mdp):
    batch, chance, real = make_mdp(discount, seed, history)
    estimator = of(name, discount)
    exact = abs(one_session(estimator, batch, chance) - real) < 1e-12
    assert exact == estimator.properties.unbiased
    assert population(estimator, batch, chance) == pytest.approx(real, abs=1e-12)
    assert chance @ estimator(batch).weight[:, 0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("estimator", [PerDecisionIS, SequentialDR])
@DISCOUNTS
@pytest.mark.parametrize("terms", [1, 2, 3, 9])
def test_steps_that_share_a_ratio_stay_consistent(estimator, discount, terms, make_mdp):
    batch, chance, real = make_mdp(discount)
    pooled = estimator(discount, self_normalised=True, terms=terms)
    assert population(pooled, batch, chance) == pytest.approx(real, abs=1e-12)
    below = pooled(batch).denominator[:, 0]
    assert chance @ below == pytest.approx(np.ones(below.shape[1]), abs=1e-12)


def test_own_ratios_are_those_of_thomas_and_brunskill(make_sessions):
    """Weighted DR by its formula (2016), a session that is over keeping its weight."""
    batch = make_sessions(m=1, missing=0.0, n=20)
    n, longest, d = len(batch), int(batch.lengths.max()), 0.9
    q, v = (x[:, 0] for x in batch.predictions)
    rewards, queue, value = (np.zeros((n, longest)) for _ in range(3))
    weight = np.zeros((n, longest))
    for i, (a, b) in enumerate(zip(batch.offsets, batch.offsets[1:], strict=False)):
        rewards[i, : b - a], queue[i, : b - a] = batch.rewards[a:b, 0], q[a:b]
        value[i, : b - a] = v[a:b]
        w = np.exp(np.cumsum(batch.log_ratio[a:b]))
        weight[i] = w[-1]
        weight[i, : b - a] = w
    share = weight / weight.sum(0)
    before = np.concatenate([np.full((n, 1), 1 / n), share[:, :-1]], axis=1)
    faded = d ** np.arange(longest)
    expected = (faded * (share * (rewards - queue) + before * value)).sum()
    found = SequentialDR(d, self_normalised=True)(batch).value[0]
    assert found == pytest.approx(expected, abs=1e-12)


def test_fqe_is_exact_with_the_true_q_only(make_mdp):
    batch, chance, real = make_mdp(1.0)
    assert abs(population(FQE(), batch, chance) - real) > 1e-3
    assert not FQE()(batch).covers_policy_value


@ALL
def test_on_policy_identity(name, make_sessions):
    batch = make_sessions(on_policy=True, missing=0.0)
    worth = 0.8 ** batch.step[:, None] * batch.rewards
    found = of(name, 0.8)(batch).value
    same = np.allclose(found, worth.sum(0) / len(batch), rtol=0, atol=1e-12)
    assert same == of(name).properties.on_policy_identity


@ALL
@DISCOUNTS
def test_shift(name, discount, make_sessions):
    batch = make_sessions(missing=0.0, equal=True, longest=5)
    to_come = np.array([(discount ** np.arange(5 - t)).sum() for t in range(5)])
    by_candidate = np.tile(to_come, len(batch))[rows(batch.step_offsets)]
    shifted = replace(batch, rewards=batch.rewards + 3, q=batch.q + 3 * by_candidate[:, None])
    moved = of(name, discount)(shifted).value - of(name, discount)(batch).value
    same = np.allclose(moved, 3 * to_come[0], rtol=0, atol=1e-11)
    assert same == of(name).properties.shift_equivariant


@ALL
def test_scale(name, make_sessions):
    batch = make_sessions()
    scaled = replace(batch, rewards=batch.rewards * -2, q=batch.q * -2)
    found = of(name)(scaled).value
    same = np.allclose(found, of(name)(batch).value * -2, rtol=0, atol=1e-11)
    assert same == of(name).properties.scale_equivariant


@ALL
@DISCOUNTS
def test_constant_reward(name, discount, make_sessions):
    batch = make_sessions(missing=0.0, equal=True, longest=4)
    batch = replace(batch, rewards=np.full_like(batch.rewards, 0.7))
    worth = 0.7 * (discount ** np.arange(4)).sum()
    found = estimates(EvaluationState.of(of(name, discount)(batch))).values()
    exact = all(abs(e.value - worth) < 1e-11 and e.upper - e.lower < 1e-11 for e in found)
    assert exact == of(name).properties.constant_reward_zero_width


@ALL
def test_order_and_shards_do_not_matter(name, make_sessions):
    batch = make_sessions(n=200, users=40, longest=40)
    order = np.random.default_rng(1).permutation(len(batch))
    estimator = of(name, 0.9)
    shards = [EvaluationState.of(estimator(batch.take(p))) for p in np.array_split(order, 7)]
    one = estimates(EvaluationState.of(estimator(batch)))
    two = estimates(reduce(EvaluationState.merge, shards))
    for o, e in one.items():
        for field in ("value", "standard_error", "lower", "upper", "degrees_of_freedom"):
            assert getattr(two[o], field) == pytest.approx(getattr(e, field), abs=1e-9, rel=1e-9)


@ALL
def test_states_of_two_discounts_are_not_merged(name, make_sessions):
    batch = make_sessions()
    one, two = (EvaluationState.of(of(name, d)(batch)) for d in (1.0, 0.9))
    with pytest.raises(ValueError, match="different estimator"):
        one.merge(two)


@ALL
def test_influence_is_the_derivative(name, make_sessions):
    batch = make_sessions(n=30, missing=0.0)
    scores = of(name)(batch)
    assert np.abs(scores.influence.sum(0)).max() < 1e-12
    step = 1e-6
    above = scores.numerator.sum(0) + step * scores.numerator[0]
    below = scores.denominator.sum(0) + step * scores.denominator[0]
    moved = (above / below) @ scores.signs
    assert (moved - scores.value) / step == pytest.approx(scores.influence[0], abs=1e-4)


@ALL
def test_unknown_rewards_are_not_used(name, make_sessions):
    batch = make_sessions(missing=0.8)
    for j, o in enumerate(batch.objectives):
        known = batch.take(np.flatnonzero(batch.used[:, j]))
        assert 0 < len(known) < len(batch)
        whole = estimates(EvaluationState.of(of(name)(batch)))[o]
        part = estimates(EvaluationState.of(of(name)(known)))[o]
        assert whole.rows == part.rows == len(known)
        assert whole.value == pytest.approx(part.value, abs=1e-12)
        assert whole.standard_error == pytest.approx(part.standard_error, abs=1e-12)


@ALL
def test_paired_difference_to_itself_is_zero(name, make_sessions):
    scores = of(name)(make_sessions())
    for e in estimates(EvaluationState.of(difference(scores, scores))).values():
        assert (e.value, e.lower, e.upper) == pytest.approx((0.0, 0.0, 0.0), abs=1e-13)


@ALL
def test_predictions_are_asked_for(name, make_sessions):
    bare = replace(make_sessions(), q=None)
    if of(name).needs_q:
        with pytest.raises(ValueError, match="needs predicted values"):
            of(name)(bare)
    else:
        assert np.isfinite(of(name)(bare).value).all()


def test_given_v_is_used(make_sessions):
    batch = make_sessions()
    q, v = batch.predictions
    given_v = replace(batch, v=v, target=None)
    dr = SequentialDR(0.9)
    assert dr(given_v).value == pytest.approx(dr(batch).value, abs=1e-13)
    assert np.array_equal(given_v.predictions[0], q)


@ALL
@settings(max_examples=40)
@given(data=st.data())
def test_finite_under_fuzzing(name, data):
    n = data.draw(st.integers(2, 6))
    lengths = data.draw(st.lists(st.integers(1, 300), min_size=n, max_size=n))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    steps = int(offsets[-1])
    g = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    spread = data.draw(st.sampled_from([0.1, 1.0, 30.0, 700.0]))
    never = g.random(steps) < data.draw(st.sampled_from([0.0, 0.001, 0.3]))
    batch = SessionBatch(
        cluster=np.arange(n) % max(2, n // 2),
        offsets=offsets,
        log_propensity=-spread * g.random(steps),
        log_target=np.where(never, -np.inf, -spread * g.random(steps)),
        rewards=g.choice([0.0, 1.0, -1e6, 1e6, 1e-9], (steps, 1)),
        objectives=("x",),
        step_offsets=np.arange(steps + 1),
        shown=np.arange(steps),
        q=g.normal(0, 1e6, (steps, 1)),
        v=g.normal(0, 1e6, (steps, 1)),
    )
    scores = of(name, data.draw(st.sampled_from([1.0, 0.9])))(batch)
    assert np.isfinite(scores.numerator).all()
    assert np.isfinite(scores.denominator).all()
    found = estimates(EvaluationState.of(scores))["x"]
    if (scores.denominator.sum(0) != 0).all():
        assert np.isfinite([found.value, found.standard_error, found.lower, found.upper]).all()
    else:
        assert not found.certified
