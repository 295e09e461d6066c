"""The conformance test of the estimators' family: every declared property, true or false."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrlm.ope import ESTIMATORS, Estimator, EvaluationBatch, EvaluationState, Properties, estimates

ALL = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS.keys())


def value(estimator, batch):
    return estimator(batch).value


@ALL
def test_contract(estimator):
    assert isinstance(estimator, Estimator)
    assert ESTIMATORS[estimator.name] is estimator
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
    truth, q = g.normal(size=(5, 2)), g.normal(size=(5, 2))
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
    named = replace(batch, cluster=np.array([f"x{c}" for c in batch.cluster], object))
    third = estimates(EvaluationState.of(estimator(named)))
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
    moved = (extra / below)[:, 0]
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
@settings(max_examples=40, deadline=None)
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
    )
    found = estimates(EvaluationState.of(estimator(batch)))["x"]
    if batch.weight.sum() > 0:
        assert np.isfinite([found.value, found.standard_error, found.lower, found.upper]).all()
    else:
        assert not found.certified
    for entry in found.to_json().values():
        assert not isinstance(entry, float) or np.isfinite(entry)
