"""The conformance test of the estimators' family: every declared property, true or false."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrlm.ope import Estimator, EvaluationBatch, EvaluationState, Properties, estimates
from mrlm.ope.contract import IterativeEstimator, fit
from mrlm.ope.estimators.balanced_ipw import BalancedIPW
from mrlm.ope.estimators.mrdr import MRDR
from mrlm.ope.estimators.shrinking import ShrinkingEstimator
from mrlm.ope.registry import FAMILY
from mrlm.ope.scores import ratio_value

# Parameters that bind in the small worlds below; the defaults would change nothing there.
BINDING = {
    "clipped_ips": {"clip": 1.5},
    "sub_gaussian_ips": {"strength": 0.3},
    "sub_gaussian_dr": {"strength": 0.3},
    "dr_os": {"strength": 2.0},
    "dr_ps": {"clip": 1.5},
    "switch": {"threshold": 1.2},
    "switch_dr": {"threshold": 1.2},
}
MEMBERS = {name: replace(e, **BINDING.get(name, {})) for name, e in FAMILY.items()}
ALL = pytest.mark.parametrize("estimator", MEMBERS.values(), ids=MEMBERS.keys())
CrossFitted = MRDR | BalancedIPW
SHRINKING = pytest.mark.parametrize(
    "estimator", [e for e in MEMBERS.values() if isinstance(e, ShrinkingEstimator)], ids=str
)


def value(estimator, batch):
    return estimator(batch).value


def bare_batch():
    return tiny_world(0)[0][0][1]


@ALL
def test_contract(estimator):
    assert isinstance(estimator, Estimator)
    assert type(FAMILY[estimator.name]) is type(estimator)
    assert estimator(bare_batch()).estimator.startswith(estimator.name)
    assert all(isinstance(getattr(estimator.properties, f.name), bool) for f in fields(Properties))


@ALL
def test_pure(estimator, make_batch):
    batch = make_batch()
    before = [np.copy(x) for x in (batch.target, batch.rewards, batch.q)]
    first, second = estimator(batch), estimator(batch)
    assert np.array_equal(first.numerator, second.numerator)
    for old, new in zip(before, (batch.target, batch.rewards, batch.q), strict=True):
        assert np.array_equal(old, new, equal_nan=True)


def tiny_world(seed):
    """Two decisions, every pair of choices, rewards a function of decision and item."""
    g = np.random.default_rng(seed)
    lengths = [2, 3]
    offsets = np.array([0, 2, 5])
    logger = np.concatenate([g.dirichlet(np.ones(k)) for k in lengths])
    target = np.concatenate([g.dirichlet(np.ones(k)) for k in lengths])
    truth, q, features = g.normal(size=(5, 2)), g.normal(size=(5, 2)), g.normal(size=(5, 1))
    outcomes = []
    for a, b in itertools.product(range(2), range(3)):
        shown = np.array([a, 2 + b])
        batch = EvaluationBatch(
            cluster=np.array([0, 1]),
            offsets=offsets,
            target=target,
            shown=shown,
            propensity=logger[shown],
            rewards=truth[shown],
            objectives=("x", "y"),
            q=q,
            candidate_propensity=logger,
            features=features,
        )
        outcomes.append((float(logger[shown].prod()), batch))
    real = np.add.reduceat(target[:, None] * truth, offsets[:-1]).mean(0)
    return outcomes, real


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_unbiased_by_exact_enumeration(estimator, seed):
    outcomes, real = tiny_world(seed)
    expected = sum(p * value(estimator, b) for p, b in outcomes)
    assert np.allclose(expected, real, rtol=0, atol=1e-12) == estimator.properties.unbiased


@SHRINKING
@pytest.mark.parametrize("seed", range(3))
def test_exact_bias_of_shrunken_weights(estimator, seed):
    """The bias is E[(weights(w) - w) (r - q)], and only that."""
    outcomes, real = tiny_world(seed)
    expected = sum(p * value(estimator, b) for p, b in outcomes)
    bias = np.zeros(2)
    for p, b in outcomes:
        q = b.q[b.shown] if estimator.needs_q else 0.0
        change = estimator.weights(b.weight) - b.weight
        bias += p * (change[:, None] * (b.rewards - q)).mean(0)
    assert expected - real == pytest.approx(bias, abs=1e-12)
    assert np.abs(bias).max() > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_exact_bias_of_switch(seed):
    """The bias is the target's mass above the threshold times q - r."""
    estimator = MEMBERS["switch"]
    outcomes, real = tiny_world(seed)
    expected = sum(p * value(estimator, b) for p, b in outcomes)
    bias = np.zeros(2)
    for p, b in outcomes:
        above = b.weight > estimator.threshold
        bias += p * (np.where(above, b.weight, 0.0)[:, None] * (b.q[b.shown] - b.rewards)).mean(0)
    assert expected - real == pytest.approx(bias, abs=1e-12)
    assert np.abs(bias).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "parameters", "same_as"),
    [
        ("clipped_ips", {"clip": np.inf}, "ips"),
        ("sub_gaussian_ips", {"strength": 0.0}, "ips"),
        ("sub_gaussian_dr", {"strength": 0.0}, "dr"),
        ("dr_os", {"strength": np.inf}, "dr"),
        ("dr_os", {"strength": 0.0}, "dm"),
        ("dr_ps", {"clip": np.inf}, "dr"),
        ("dr_ps", {"clip": 0.0}, "dm"),
        ("switch_dr", {"threshold": np.inf}, "dr"),
        ("switch_dr", {"threshold": 0.0}, "dm"),
        ("switch", {"threshold": np.inf}, "ips"),
    ],
)
def test_limits_of_the_parameters(name, parameters, same_as, make_batch):
    batch = make_batch()
    limit = replace(FAMILY[name], **parameters)
    assert np.allclose(value(limit, batch), value(FAMILY[same_as], batch), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("clipped_ips", {"clip": 0.9}),
        ("clipped_ips", {"clip": np.nan}),
        ("sub_gaussian_ips", {"strength": 1.1}),
        ("sub_gaussian_dr", {"strength": -0.1}),
        ("dr_os", {"strength": -1.0}),
        ("dr_ps", {"clip": -1.0}),
        ("switch", {"threshold": 0.5}),
        ("switch_dr", {"threshold": -1.0}),
        ("empirical_likelihood", {"weight_range": (1.5, 3.0)}),
    ],
)
def test_impossible_parameters_are_refused(name, parameters):
    with pytest.raises(ValueError, match=f"{next(iter(parameters)).replace('_', ' ')}"):
        replace(FAMILY[name], **parameters)


def test_switch_asks_for_logging_probabilities(make_batch):
    batch = make_batch()
    logged = batch.candidate_propensity.copy()
    logged[3] = np.nan
    for bad in (None, logged):
        with pytest.raises(ValueError, match="logging probability of every candidate"):
            FAMILY["switch"](replace(batch, candidate_propensity=bad))


@ALL
def test_shards_in_any_order_give_the_whole(estimator, make_batch):
    batch = make_batch(n=300)
    whole = EvaluationState.of(estimator(batch))
    order = np.random.default_rng(3).permutation(len(batch))
    shards = [batch.take(part) for part in np.array_split(order, 4)]
    ready = fit(estimator, lambda: iter(shards))
    state = EvaluationState.of(ready(shards[0]))
    for shard in shards[1:]:
        state = state.add(ready(shard))
    for name, e in estimates(whole).items():
        f = estimates(state)[name]
        assert f.estimator == e.estimator
        assert f.value == pytest.approx(e.value, abs=1e-9)
        assert f.standard_error == pytest.approx(e.standard_error, abs=1e-9)


def small_sample_world(kind, seed):
    """One decision of three items, n draws of it; weights of both sides of 1."""
    g = np.random.default_rng(seed)
    n, logger, target = 400, np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    truth = np.array([0.2, 0.5, 0.9])
    action = g.choice(3, n, p=logger)
    return target @ truth, EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * 3,
        target=np.tile(target, n),
        shown=np.arange(n) * 3 + action,
        propensity=logger[action],
        rewards=(g.random(n) < truth[action]).astype(float)[:, None],
        objectives=(kind,),
        features=np.tile(np.eye(3), (n, 1)),
    )


@pytest.mark.statistics
@pytest.mark.parametrize(
    "estimator",
    [
        e
        for e in MEMBERS.values()
        if isinstance(e, IterativeEstimator) and e.properties.covers_policy_value
    ],
    ids=str,
)
def test_standard_error_of_fitted_estimators(estimator):
    """Over 1,500 logs the standard error is the spread, within 8 %; it fails by chance in 1e-5.

    The spread of 1,500 values has a relative error of 1.8 %, so 8 % is more than four of them.
    """
    found = [
        (value, estimates(EvaluationState.of(estimator(batch)))["x"])
        for value, batch in (small_sample_world("x", seed) for seed in range(1500))
    ]
    errors = np.array([e.value - value for value, e in found])
    stated = np.sqrt(np.mean([e.standard_error**2 for _, e in found]))
    assert errors.std() == pytest.approx(stated, rel=0.08)
    assert abs(errors.mean()) < 5 * errors.std() / np.sqrt(len(errors))


@pytest.mark.parametrize("seed", range(3))
def test_empirical_likelihood_solves_its_dual(seed, make_batch):
    """Probabilities sum to 1, the mean weight is 1, and no small change is more likely."""
    batch = make_batch(seed=seed, n=200, m=1, missing=0.0)
    (multiplier,) = fit(FAMILY["empirical_likelihood"], lambda: [batch]).multiplier
    probability = 1 / (1 + multiplier * (batch.weight - 1)) / len(batch)
    assert probability.min() > 0
    assert probability.sum() == pytest.approx(1, abs=1e-10)
    assert probability @ batch.weight == pytest.approx(1, abs=1e-10)
    g = np.random.default_rng(seed)
    constraints = np.stack([np.ones(len(batch)), batch.weight])
    for _ in range(20):
        move = g.normal(size=len(batch))
        move -= constraints.T @ np.linalg.solve(constraints @ constraints.T, constraints @ move)
        move *= 1e-3 * probability.min() / np.abs(move).max()
        assert np.log(probability + move).sum() <= np.log(probability).sum() + 1e-12


def test_empirical_likelihood_is_self_normalised_where_the_range_binds(make_batch):
    """A huge possible weight and a mean weight below 1 leave the multiplier near 0."""
    batch = make_batch(seed=1, n=200, m=1, missing=0.0)
    light = batch.take(np.flatnonzero(batch.weight < np.quantile(batch.weight, 0.8)))
    assert light.weight.mean() < 1
    bounded = replace(FAMILY["empirical_likelihood"], weight_range=(0.0, 1e9))
    assert value(bounded, light) == pytest.approx(value(FAMILY["snips"], light), abs=1e-6)


@ALL
def test_on_policy_identity(estimator, make_batch):
    batch = make_batch(on_policy=True)
    same = np.allclose(value(estimator, batch), np.nanmean(batch.rewards, 0), rtol=0, atol=1e-12)
    assert same == estimator.properties.on_policy_identity


@ALL
def test_shift(estimator, make_batch):
    batch = make_batch()
    shifted = replace(batch, rewards=batch.rewards + 3, q=batch.q + 3)
    same = np.allclose(value(estimator, shifted), value(estimator, batch) + 3, rtol=0, atol=1e-12)
    assert same == estimator.properties.shift_equivariant


@ALL
def test_scale(estimator, make_batch):
    batch = make_batch()
    scaled = replace(batch, rewards=batch.rewards * -2, q=batch.q * -2)
    same = np.allclose(value(estimator, scaled), value(estimator, batch) * -2, rtol=0, atol=1e-12)
    assert same == estimator.properties.scale_equivariant


@ALL
def test_constant_reward(estimator, make_batch):
    batch = make_batch(missing=0.0)
    batch = replace(batch, rewards=np.full_like(batch.rewards, 0.7))
    found = estimates(EvaluationState.of(estimator(batch))).values()
    exact = all(abs(e.value - 0.7) < 1e-12 and e.upper - e.lower < 1e-12 for e in found)
    assert exact == estimator.properties.constant_reward_zero_width


@ALL
def test_consistent_for_its_declared_target(estimator):
    """On a large log the error is small next to the bias of an estimator with its own target."""
    g = np.random.default_rng(5)
    n, k = 40_000, 3
    logger, target = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    truth, q = np.array([0.1, 0.5, 0.9]), np.array([0.5, 0.5, 0.5])
    action = g.choice(k, n, p=logger)
    batch = EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * k,
        target=np.tile(target, n),
        shown=np.arange(n) * k + action,
        propensity=logger[action],
        rewards=truth[action][:, None],
        objectives=("x",),
        q=np.tile(q, n)[:, None],
        candidate_propensity=np.tile(logger, n),
        # Of the middle item only: a classifier on it cannot tell the other two apart.
        features=np.tile([0.0, 1.0, 0.0], n)[:, None],
    )
    close = abs(value(estimator, batch)[0] - target @ truth) < 0.03
    assert close == estimator.properties.covers_policy_value


@ALL
def test_order_and_relabelling_of_users_do_not_matter(estimator, make_batch):
    batch = make_batch(n=200)
    order = np.random.default_rng(1).permutation(len(batch))
    one = estimates(EvaluationState.of(estimator(batch)))
    shuffled = batch.take(order)
    other = estimates(EvaluationState.of(estimator(shuffled)))
    # A new name may put a user into another fold, and folds are part of a cross-fitted estimate.
    named = np.array([f"x{c}" for c in batch.cluster], object)
    third = other
    if not isinstance(estimator, CrossFitted):
        third = estimates(EvaluationState.of(estimator(replace(batch, cluster=named))))
    for name, e in one.items():
        for f in (other[name], third[name]):
            assert f.value == pytest.approx(e.value, abs=1e-12)
            assert f.standard_error == pytest.approx(e.standard_error, abs=1e-12)


@ALL
def test_influence_sums_to_zero_and_gives_the_derivative(estimator, make_batch):
    batch = make_batch(n=40)
    scores = estimator(batch)
    assert np.abs(scores.influence.sum(0)).max() < 1e-12
    # Adding a copy of round 0 with a small weight moves the value along its influence.
    step = 1e-6
    extra = scores.numerator.sum(0) + step * scores.numerator[0]
    below = scores.denominator.sum(0) + step * scores.denominator[0]
    moved = ratio_value(extra, below, scores.signs)
    assert (moved - scores.value) / step == pytest.approx(scores.influence[0], abs=1e-5)


@ALL
def test_unknown_rewards_are_not_used(estimator, make_batch):
    batch = make_batch(missing=0.3)
    for j, name in enumerate(batch.objectives):
        known = batch.take(np.flatnonzero(batch.used[:, j]))
        whole = estimates(EvaluationState.of(estimator(batch)))[name]
        part = estimates(EvaluationState.of(estimator(known)))[name]
        assert whole.rows == part.rows == batch.used[:, j].sum()
        assert whole.value == pytest.approx(part.value, abs=1e-12)
        assert whole.standard_error == pytest.approx(part.standard_error, abs=1e-12)


@ALL
def test_predictions_are_asked_for(estimator, make_batch):
    bare = replace(make_batch(), q=None)
    if estimator.needs_q:
        with pytest.raises(ValueError, match="needs predicted rewards"):
            estimator(bare)
    else:
        assert np.isfinite(value(estimator, bare)).all()


@ALL
@settings(max_examples=40)
@given(data=st.data())
def test_finite_under_fuzzing(estimator, data):
    n = data.draw(st.integers(2, 8))
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    numbers = st.floats(-1e6, 1e6)
    raw = data.draw(
        st.lists(st.integers(0, 5), min_size=int(offsets[-1]), max_size=int(offsets[-1]))
    )
    target = np.array(raw, float)
    for a, b in itertools.pairwise(offsets):
        if target[a:b].sum() == 0:
            target[a] = 1.0
        target[a:b] /= target[a:b].sum()
    shown = np.array(
        [
            a + data.draw(st.integers(0, k - 1))
            for a, k in zip(offsets[:-1].tolist(), lengths, strict=True)
        ]
    )
    floats = st.lists(numbers, min_size=n, max_size=n)
    propensity = st.lists(st.floats(1e-12, 1.0), min_size=n, max_size=n)
    batch = EvaluationBatch(
        cluster=np.arange(n) % max(2, n // 2),
        offsets=offsets,
        target=target,
        shown=shown,
        propensity=np.array(data.draw(propensity)),
        rewards=np.array(data.draw(floats))[:, None],
        objectives=("x",),
        q=np.full((offsets[-1], 1), data.draw(numbers)),
        candidate_propensity=np.full(offsets[-1], 0.1),
        features=np.array(raw, float)[:, None],
    )
    found = estimates(EvaluationState.of(estimator(batch)))["x"]
    if batch.weight.sum() > 0:
        assert np.isfinite([found.value, found.standard_error, found.lower, found.upper]).all()
    else:
        assert not found.certified
    for entry in found.to_json().values():
        assert not isinstance(entry, float) or np.isfinite(entry)
