"""The conformance test of the embedded family, by exact enumeration of small worlds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationBatch, EvaluationState, estimates
from mrlm.ope.embedded import (
    EMBEDDED_ESTIMATORS,
    EmbeddedEstimator,
    MarginalWeight,
    assumption_bias,
    assumption_gap,
    bounded_estimates,
    bounded_scores,
    cluster_weight,
    discretise,
    kernel_weight,
)

ALL = pytest.mark.parametrize(
    "estimator", EMBEDDED_ESTIMATORS.values(), ids=EMBEDDED_ESTIMATORS.keys()
)
CODE = np.array([0, 0, 1, 2, 1, 2, 2])
CLUSTERS = 3
OFFSETS = np.array([0, 3, 7])


def world(seed, direct_effect):
    """Two decisions over 3 and 4 candidates, every pair of choices with its probability."""
    g = np.random.default_rng(seed)
    logger = np.concatenate([g.dirichlet(np.ones(k)) for k in (3, 4)])
    target = np.concatenate([g.dirichlet(np.ones(k)) for k in (3, 4)])
    of_cluster = g.normal(size=(2, CLUSTERS, 2))
    row = np.repeat([0, 1], [3, 4])
    own = direct_effect * g.uniform(-1, 1, size=(7, 2))
    truth = of_cluster[row, CODE] + own
    # A model whose error is a constant of the cluster: the direct effect plus cluster noise.
    model = own + g.normal(size=(2, CLUSTERS, 2))[row, CODE]
    outcomes = []
    for a, b in itertools.product(range(3), range(4)):
        shown = np.array([a, 3 + b])
        batch = EvaluationBatch(
            cluster=np.array([0, 1]),
            offsets=OFFSETS,
            target=target,
            shown=shown,
            propensity=logger[shown],
            rewards=truth[shown],
            objectives=("x", "y"),
            q=model,
            candidate_propensity=logger,
        )
        outcomes.append((float(logger[shown].prod()), batch))
    real = np.add.reduceat(target[:, None] * truth, OFFSETS[:-1]).mean(0)
    return outcomes, real


def expectation(estimator, outcomes, code=CODE, q=None):
    total = np.zeros(2)
    for p, batch in outcomes:
        seen = batch if q is None else replace(batch, q=q)
        total += p * estimator(seen, cluster_weight(seen, code)).value
    return total


@ALL
def test_contract(estimator):
    assert isinstance(estimator, EmbeddedEstimator)
    assert EMBEDDED_ESTIMATORS[estimator.name] is estimator


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_unbiased_without_direct_effect(estimator, seed):
    outcomes, real = world(seed, 0.0)
    q = np.random.default_rng(seed).normal(size=(7, 2))
    exact = np.allclose(expectation(estimator, outcomes, q=q), real, rtol=0, atol=1e-12)
    assert exact == estimator.properties.unbiased_without_direct_effect


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_unbiased_with_a_model_of_the_differences_within_clusters(estimator, seed):
    outcomes, real = world(seed, 1.0)
    exact = np.allclose(expectation(estimator, outcomes), real, rtol=0, atol=1e-12)
    assert exact == estimator.properties.unbiased_with_cluster_effect_model


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_against_the_assumption_it_is_biased_and_never_certified(estimator, seed):
    outcomes, real = world(seed, 1.0)
    q = np.random.default_rng(seed).normal(size=(7, 2))
    assert not np.allclose(expectation(estimator, outcomes, q=q), real, rtol=0, atol=1e-3)
    scores = estimator(outcomes[0][1], cluster_weight(outcomes[0][1], CODE))
    assert not scores.covers_policy_value
    assert not any(e.certified for e in estimates(EvaluationState.of(scores)).values())


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_distinct_vectors_give_back_the_estimator_without_embeddings(estimator, seed, make_batch):
    batch = make_batch(seed)
    vectors = np.random.default_rng(seed).normal(size=(len(batch.target), 16))
    distinct = discretise(vectors, len(vectors))
    plain = ESTIMATORS[estimator.properties.own_item_clusters](batch)
    same = estimator(batch, cluster_weight(batch, distinct))
    assert np.allclose(same.weight, plain.weight, rtol=1e-12)
    assert np.allclose(same.numerator, plain.numerator, rtol=1e-12)
    assert np.allclose(same.denominator, plain.denominator, rtol=1e-12)


@ALL
def test_shift(estimator, make_batch):
    batch = make_batch()
    marginal = cluster_weight(batch, np.arange(len(batch.target)) % 3)
    shifted = replace(batch, rewards=batch.rewards + 3, q=batch.q + 3)
    one, other = estimator(batch, marginal).value, estimator(shifted, marginal).value
    assert np.allclose(other, one + 3, rtol=0, atol=1e-12) == estimator.properties.shift_equivariant


@ALL
def test_order_and_unknown_rewards(estimator, make_batch):
    batch = make_batch(n=200, missing=0.3)
    code = np.random.default_rng(3).integers(0, 3, len(batch.target))
    whole = estimates(EvaluationState.of(estimator(batch, cluster_weight(batch, code))))
    tagged = replace(batch, q=np.column_stack([batch.q[:, 0], code]))
    for j, name in enumerate(batch.objectives):
        index = np.random.default_rng(1).permutation(np.flatnonzero(batch.used[:, j]))
        moved = tagged.take(index)
        part = replace(moved, q=batch.take(index).q)
        found = estimator(part, cluster_weight(part, moved.q[:, 1].astype(np.int64)))
        again = estimates(EvaluationState.of(found))[name]
        assert again.value == pytest.approx(whole[name].value, abs=1e-12)
        assert again.standard_error == pytest.approx(whole[name].standard_error, abs=1e-12)


@ALL
def test_predictions_are_asked_for(estimator, make_batch):
    bare = replace(make_batch(), q=None)
    marginal = cluster_weight(bare, np.zeros(len(bare.target), np.int64))
    if estimator.needs_q:
        with pytest.raises(ValueError, match="needs predicted rewards"):
            estimator(bare, marginal)
    else:
        assert np.isfinite(estimator(bare, marginal).value).all()


@pytest.mark.parametrize("name", ["mips", "offcem"])
@pytest.mark.parametrize("seed", range(5))
def test_the_bound_holds_the_value_in_expectation_and_no_smaller_one_does(name, seed):
    """Exact: lower <= value <= upper; with the worst direct effect the bound is reached."""
    outcomes, real = world(seed, 1.0)
    q = np.zeros((7, 2))
    low, high = np.zeros(2), np.zeros(2)
    for p, batch in outcomes:
        batch = replace(batch, q=q)
        scores = EMBEDDED_ESTIMATORS[name](batch, cluster_weight(batch, CODE))
        below, above = bounded_scores(scores, assumption_gap(batch, CODE), np.ones(2))
        assert below.covers_policy_value
        low, high = low + p * below.value, high + p * above.value
    assert (low <= real).all()
    assert (real <= high).all()
    # The worst case: every direct effect at its bound, with the sign of what the weights miss.
    batch = outcomes[0][1]
    mass = np.add.outer(np.repeat([0, 3], [3, 4]), np.zeros(1, int))[:, 0] + CODE
    weight = np.bincount(mass, batch.target, 6) / np.maximum(
        np.bincount(mass, batch.candidate_propensity, 6), 1e-300
    )
    worst = np.sign(batch.target - batch.candidate_propensity * weight[mass])
    value = np.add.reduceat(batch.target * worst, OFFSETS[:-1]).mean()
    got = sum(
        p
        * EMBEDDED_ESTIMATORS["mips"](
            replace(b, rewards=np.tile(worst[b.shown, None], 2)), cluster_weight(b, CODE)
        ).value[0]
        for p, b in outcomes
    )
    assert value - got == pytest.approx(assumption_gap(batch, CODE).mean(), abs=1e-12)


def test_bound_is_refused_where_it_does_not_hold(make_batch):
    batch = make_batch()
    code = np.arange(len(batch.target)) % 3
    known = cluster_weight(batch, code)
    gap, one = assumption_gap(batch, code), np.ones(2)
    with pytest.raises(ValueError, match="got snmips"):
        bounded_scores(EMBEDDED_ESTIMATORS["snmips"](batch, known), gap, one)
    guessed = replace(known, estimated=True)
    with pytest.raises(ValueError, match="over known clusters"):
        bounded_scores(EMBEDDED_ESTIMATORS["mips"](batch, guessed), gap, one)
    with pytest.raises(ValueError, match="at least 0"):
        bounded_scores(EMBEDDED_ESTIMATORS["mips"](batch, known), gap, -one)
    with pytest.raises(ValueError, match="direct_effect"):
        bounded_scores(EMBEDDED_ESTIMATORS["mips"](batch, known), gap, np.ones(3))


def draw(seed, n, direct_effect):
    """A log of n users, 6 items in 2 clusters, direct effects of the given size."""
    g = np.random.default_rng(seed)
    logger = np.array([0.3, 0.1, 0.1, 0.2, 0.2, 0.1])
    target = np.array([0.05, 0.05, 0.5, 0.1, 0.1, 0.2])
    code = np.array([0, 0, 0, 1, 1, 1])
    truth = np.array([0.2, 0.5])[code] + direct_effect * np.array([-1, 0, 1, 0, 1, -1])
    action = g.choice(6, n, p=logger)
    batch = EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * 6,
        target=np.tile(target, n),
        shown=np.arange(n) * 6 + action,
        propensity=logger[action],
        rewards=(g.random(n) < truth[action]).astype(float)[:, None],
        objectives=("click",),
        candidate_propensity=np.tile(logger, n),
    )
    return batch, np.tile(code, n), float(target @ truth)


@pytest.mark.statistics
def test_the_bias_is_found_where_it_is_and_the_bounded_interval_covers():
    """200 logs; the counts of right intervals miss with probability below 1e-4."""
    covered, alarms, quiet = 0, 0, 0
    for seed in range(200):
        batch, code, value = draw(seed, 4000, 0.15)
        scores = EMBEDDED_ESTIMATORS["mips"](batch, cluster_weight(batch, code))
        ips = ESTIMATORS["ips"](batch)
        found = assumption_bias(scores, ips)["click"]
        alarms += not found.lower <= 0 <= found.upper
        low, high = bounded_scores(scores, assumption_gap(batch, code), np.array([0.15]))
        both = bounded_estimates(EvaluationState.of(low), EvaluationState.of(high))["click"]
        assert both.certificate.certified
        covered += both.lower <= value <= both.upper
        clean, code, _ = draw(seed, 4000, 0.0)
        scores = EMBEDDED_ESTIMATORS["mips"](clean, cluster_weight(clean, code))
        null = assumption_bias(scores, ESTIMATORS["ips"](clean))["click"]
        quiet += null.lower <= 0 <= null.upper
    assert alarms >= 190
    assert covered >= 190
    assert quiet >= 175


def test_assumption_bias_needs_an_unbiased_estimate(make_batch):
    batch = make_batch()
    scores = EMBEDDED_ESTIMATORS["mips"](
        batch, cluster_weight(batch, np.zeros(len(batch.target), int))
    )
    with pytest.raises(ValueError, match="give the scores of"):
        assumption_bias(scores, ESTIMATORS["dm"](batch))


def test_estimated_weights_say_so(make_batch):
    batch = make_batch()
    guessed = MarginalWeight(np.ones(len(batch)), np.zeros(len(batch)), True, "test")
    assert (
        EMBEDDED_ESTIMATORS["mips"](batch, guessed).estimator == "mips (test) (estimated weights)"
    )
    with pytest.raises(ValueError, match="of the batch's"):
        EMBEDDED_ESTIMATORS["mips"](batch, replace(guessed, weight=np.ones(3)))


def test_kernel_of_hard_shares_is_the_cluster_weight(make_batch):
    batch = make_batch(n=100)
    item = np.random.default_rng(0).integers(0, 9, len(batch.target))
    code = np.arange(9) % 4
    hard = kernel_weight(batch, item, np.eye(4)[code])
    known = cluster_weight(batch, code[item])
    assert np.allclose(hard.weight, known.weight, rtol=1e-12)
    assert np.allclose(hard.unsupported, known.unsupported, rtol=0, atol=1e-12)


@ALL
def test_parts_of_a_log_merge_to_the_whole(estimator, make_batch):
    batch = make_batch(n=200, missing=0.2)
    code = np.random.default_rng(3).integers(0, 3, len(batch.target))
    whole = EvaluationState.of(estimator(batch, cluster_weight(batch, code)))
    cut = np.array([0, 50, 51, 200])
    merged = None
    for a, b in itertools.pairwise(cut):
        low, high = batch.offsets[a], batch.offsets[b]
        part = batch.take(np.arange(a, b))
        state = EvaluationState.of(estimator(part, cluster_weight(part, code[low:high])))
        merged = state if merged is None else merged.merge(state)
    for name, e in estimates(whole).items():
        again = estimates(merged)[name]
        assert again.value == pytest.approx(e.value, rel=1e-9)
        assert again.standard_error == pytest.approx(e.standard_error, rel=1e-9)


@ALL
@pytest.mark.parametrize("seed", range(25))
def test_finite_under_extreme_probabilities(estimator, seed):
    """Propensities down to 1e-12 and none at all, rewards up to a million: finite, or refused."""
    g = np.random.default_rng(seed)
    n, k = 6, 5
    logger = np.maximum(g.dirichlet(np.full(k, 0.1), n), 1e-12) * (g.random((n, k)) < 0.8)
    logger[:, 0] += logger.sum(1) == 0
    logger /= logger.sum(1, keepdims=True)
    shown = np.array([g.choice(np.flatnonzero(p > 0)) for p in logger]) + np.arange(n) * k
    batch = EvaluationBatch(
        cluster=np.arange(n) % 3,
        offsets=np.arange(n + 1) * k,
        target=g.dirichlet(np.full(k, 0.1), n).ravel(),
        shown=shown,
        propensity=logger.ravel()[shown],
        rewards=g.normal(size=(n, 1)) * 10.0 ** g.integers(-6, 7),
        objectives=("x",),
        q=g.normal(size=(n * k, 1)),
        candidate_propensity=logger.ravel(),
    )
    code = g.integers(0, 3, n * k)
    marginal = cluster_weight(batch, code)
    assert np.isfinite(marginal.weight).all()
    assert ((marginal.unsupported >= 0) & (marginal.unsupported <= 1 + 1e-12)).all()
    assert np.isfinite(assumption_gap(batch, code)).all()
    found = estimates(EvaluationState.of(estimator(batch, marginal)))["x"]
    assert not found.certified
    if marginal.weight.sum() > 0:
        assert np.isfinite([found.value, found.standard_error, found.lower, found.upper]).all()
