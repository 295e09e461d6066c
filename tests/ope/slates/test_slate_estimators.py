"""The conformance test of the slate estimators: every declared property, true or false."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrlm.ope import EvaluationState, Properties, difference, estimates
from mrlm.ope.slates import (
    SLATE_ESTIMATORS,
    PIControlVariates,
    SlateBatch,
    SlateEstimator,
)

# Coefficients as if from other users; two objectives use the first columns of them.
VARIATES = PIControlVariates(np.array([[0.3, -0.2], [0.5, 0.1], [-0.4, 0.2]]))
FAMILY = [*SLATE_ESTIMATORS.values(), VARIATES]
ALL = pytest.mark.parametrize("estimator", FAMILY, ids=[e.name for e in FAMILY])

# The world of users in which each assumption holds; with none, every world will do.
WORLD = {
    "sips": "any",
    "iips": "independent",
    "rips": "cascade",
    "cascade_dr": "cascade",
    "pi": "additive",
    "pi_cv": "additive",
    "pbm": "position",
    "uniform_pi": "additive",
}


def logger_of(estimator):
    """What the logger must be like, as arguments of the makers."""
    return {"even": "uniform" in estimator.name}


def world_of(estimator):
    return WORLD[estimator.name.removeprefix("sn")]


def for_objectives(estimator, m):
    """The estimator with as many columns of coefficients as there are objectives."""
    if isinstance(estimator, PIControlVariates):
        return replace(estimator, coefficients=estimator.coefficients[:, :m])
    return estimator


def value(estimator, batch):
    return for_objectives(estimator, len(batch.objectives))(batch).value


def population(estimator, batch, chance):
    """Limit of the estimate on an infinite log in which round i has this chance."""
    s = for_objectives(estimator, 1)(batch)
    above, below = chance @ s.numerator[:, 0], chance @ s.denominator[:, 0]
    return float((above / below) @ s.signs)


def one_round(estimator, batch, chance):
    """Expectation of the estimate from a log of one round."""
    s = for_objectives(estimator, 1)(batch)
    return float(chance @ ((s.numerator / s.denominator)[:, 0] @ s.signs))


@ALL
def test_contract(estimator):
    assert isinstance(estimator, SlateEstimator)
    assert all(isinstance(getattr(estimator.properties, f.name), bool) for f in fields(Properties))
    assert estimator.properties.covers_policy_value == (estimator.assumption is None)


@pytest.mark.parametrize("estimator", [e for e in FAMILY if e.assumption], ids=lambda e: e.name)
def test_an_assumption_is_vouched_for_by_the_caller_only(estimator, make_slates):
    batch = make_slates(estimator.kinds[0], **logger_of(estimator))
    assert not estimator(batch).covers_policy_value
    sure = replace(estimator, assumed=True)
    assert sure.properties.covers_policy_value
    assert sure(batch).covers_policy_value
    verdict = estimates(EvaluationState.of(estimator(batch)))["o0"].certificate
    assert not verdict.certified
    assert "its own target" in verdict.reason


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_unbiased_under_its_assumption_by_exact_enumeration(estimator, seed, make_slate_world):
    for kind in estimator.kinds:
        batch, chance, real = make_slate_world(
            kind, world_of(estimator), seed, **logger_of(estimator)
        )
        exact = abs(one_round(estimator, batch, chance) - real) < 1e-12
        assert exact == estimator.properties.unbiased, kind


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_consistent_under_its_assumption(estimator, seed, make_slate_world):
    for kind in estimator.kinds:
        batch, chance, real = make_slate_world(
            kind, world_of(estimator), seed, **logger_of(estimator)
        )
        assert population(estimator, batch, chance) == pytest.approx(real, abs=1e-12), kind


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_biased_where_its_assumption_is_broken(estimator, seed, make_slate_world):
    for kind in estimator.kinds:
        batch, chance, real = make_slate_world(kind, "any", seed, **logger_of(estimator))
        error = abs(population(estimator, batch, chance) - real)
        assert (error > 1e-6) == (estimator.assumption is not None), kind


@ALL
def test_the_weight_of_a_slate_has_mean_one(estimator, make_slate_world):
    """So that the test of the mean weight in the verdict is one of the propensities."""
    for kind in estimator.kinds:
        batch, chance, _ = make_slate_world(kind, "any", **logger_of(estimator))
        weight = for_objectives(estimator, 1)(batch).weight[:, 0]
        assert chance @ weight == pytest.approx(1, abs=1e-12)


@ALL
def test_on_policy_identity(estimator, make_slates):
    batch = make_slates(estimator.kinds[0], **logger_of(estimator), on_policy=True, missing=0.0)
    mean = batch.rewards.sum(0) / len(batch)
    same = np.allclose(value(estimator, batch), mean, rtol=0, atol=1e-12)
    assert same == estimator.properties.on_policy_identity


@ALL
def test_shift(estimator, make_slates):
    """A constant c more a slot is c times the number of slots more a slate."""
    batch = make_slates(
        estimator.kinds[0], **logger_of(estimator), missing=0.0, equal=True, largest=4
    )
    below = np.tile([4.0, 3.0, 2.0, 1.0], len(batch))[:, None]
    shifted = replace(
        batch, rewards=batch.rewards + 3, q=batch.q + 3 * below, v=batch.v + 3 * below
    )
    moved = value(estimator, shifted) - value(estimator, batch)
    same = np.allclose(moved, 12, rtol=0, atol=1e-11)
    assert same == estimator.properties.shift_equivariant


@ALL
def test_scale(estimator, make_slates):
    batch = make_slates(estimator.kinds[0], **logger_of(estimator))
    scaled = replace(batch, rewards=batch.rewards * -2, q=batch.q * -2, v=batch.v * -2)
    same = np.allclose(value(estimator, scaled), value(estimator, batch) * -2, rtol=0, atol=1e-11)
    assert same == estimator.properties.scale_equivariant


@ALL
def test_constant_reward(estimator, make_slates):
    batch = make_slates(
        estimator.kinds[0], **logger_of(estimator), missing=0.0, equal=True, largest=3
    )
    batch = replace(batch, rewards=np.full_like(batch.rewards, 0.7))
    found = estimates(EvaluationState.of(estimator(batch))).values()
    exact = all(abs(e.value - 2.1) < 1e-11 and e.upper - e.lower < 1e-11 for e in found)
    assert exact == estimator.properties.constant_reward_zero_width


@ALL
def test_order_and_shards_do_not_matter(estimator, make_slates):
    batch = make_slates(estimator.kinds[0], **logger_of(estimator), n=300, users=40)
    order = np.random.default_rng(1).permutation(len(batch))
    shards = [EvaluationState.of(estimator(batch.take(p))) for p in np.array_split(order, 7)]
    one = estimates(EvaluationState.of(estimator(batch)))
    two = estimates(reduce(EvaluationState.merge, shards))
    for name, e in one.items():
        for field in ("value", "standard_error", "lower", "upper", "degrees_of_freedom"):
            assert getattr(two[name], field) == pytest.approx(getattr(e, field), abs=1e-9, rel=1e-9)


@ALL
def test_unknown_rewards_are_not_used(estimator, make_slates):
    batch = make_slates(estimator.kinds[0], **logger_of(estimator), missing=0.8)
    for j, name in enumerate(batch.objectives):
        known = batch.take(np.flatnonzero(batch.used[:, j]))
        assert 0 < len(known) < len(batch)
        whole = estimates(EvaluationState.of(estimator(batch)))[name]
        part = estimates(EvaluationState.of(estimator(known)))[name]
        assert whole.rows == part.rows == len(known)
        assert whole.value == pytest.approx(part.value, abs=1e-12)
        assert whole.standard_error == pytest.approx(part.standard_error, abs=1e-12)


@ALL
def test_pure(estimator, make_slates):
    batch = make_slates(estimator.kinds[0], **logger_of(estimator))
    before = [np.copy(x) for x in (batch.target, batch.rewards, batch.q)]
    assert np.array_equal(estimator(batch).numerator, estimator(batch).numerator)
    for old, new in zip(before, (batch.target, batch.rewards, batch.q), strict=True):
        assert np.array_equal(old, new, equal_nan=True)


@ALL
def test_paired_difference_to_itself_is_zero(estimator, make_slates):
    scores = estimator(make_slates(estimator.kinds[0], **logger_of(estimator)))
    for e in estimates(EvaluationState.of(difference(scores, scores))).values():
        assert (e.value, e.lower, e.upper) == (0.0, 0.0, 0.0)


@ALL
@pytest.mark.parametrize("kind", ["conditional", "marginal", "slate", "independent", "exposure"])
def test_propensities_of_another_kind_are_refused(estimator, kind, make_slates):
    batch = make_slates(kind, **logger_of(estimator))
    if kind in estimator.kinds:
        assert np.isfinite(estimator(batch).value).all()
    else:
        with pytest.raises(ValueError, match=rf"{estimator.name} needs .* log the prob"):
            estimator(batch)


@ALL
def test_predictions_are_asked_for(estimator, make_slates):
    bare = replace(make_slates(estimator.kinds[0], **logger_of(estimator)), q=None, v=None)
    if estimator.needs_q:
        with pytest.raises(ValueError, match="needs predicted values"):
            estimator(bare)
    else:
        assert np.isfinite(estimator(bare).value).all()


@ALL
@settings(max_examples=40)
@given(data=st.data())
def test_finite_under_fuzzing(estimator, data):
    n = data.draw(st.integers(2, 6))
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=n, max_size=n))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    total, kind = int(offsets[-1]), estimator.kinds[0]
    g = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    items = np.repeat(np.array(lengths) + g.integers(0, 9, n), lengths)
    smallest = data.draw(st.sampled_from([1e-12, 1e-3, 0.5, 1.0]))
    batch = SlateBatch(
        cluster=np.arange(n) % max(2, n // 2),
        offsets=offsets,
        propensity=1 / items if logger_of(estimator)["even"] else smallest ** g.random(total),
        target=g.random(total) * (g.random(total) > data.draw(st.sampled_from([0.0, 0.3]))),
        rewards=g.choice([0.0, 1.0, -1e6, 1e6, 1e-9], (total, 1)),
        objectives=("x",),
        kind=kind,
        q=g.normal(0, 1e6, (total, 1)),
        v=g.normal(0, 1e6, (total, 1)),
        examination=g.uniform(1e-9, 1.0, total),
        inclusion=g.random(total),
    )
    scores = for_objectives(estimator, 1)(batch)
    found = estimates(EvaluationState.of(scores))["x"]
    if (scores.denominator.sum(0) != 0).all():
        assert np.isfinite([found.value, found.standard_error, found.lower, found.upper]).all()
    else:
        assert not found.certified
