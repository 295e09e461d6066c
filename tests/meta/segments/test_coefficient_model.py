"""Empirical Bayes over segments: closed forms, what is chosen, and that the posterior holds."""

from __future__ import annotations

import numpy as np
import pytest

from mrlm.meta.problem.coefficient_sums import CoefficientSums
from mrlm.meta.segments.coefficient_model import coefficient_model

S, F = 40, 3


def drawn(seed, *, told=1.0, apart=0.5, size=30.0, segments=S):
    """Sums whose truth is drawn from the model, the features, and the truth."""
    g = np.random.default_rng(seed)
    features = g.normal(size=(segments, 2))
    regression = told * g.normal(size=(2, F))
    truth = 0.3 + features @ regression + apart * g.normal(size=(segments, F))
    rows = g.normal(size=(segments, 6, F))
    precision = (
        size * g.exponential(size=segments)[:, None, None] * (rows.transpose(0, 2, 1) @ rows / 6)
    )
    noise = np.stack([np.linalg.cholesky(p + 1e-12 * np.eye(F)) for p in precision])
    pull = np.einsum("sij,sj->si", precision, truth)
    pull += np.einsum("sij,sj->si", noise, g.normal(size=(segments, F)))
    return CoefficientSums(precision, pull, np.full(segments, 100)), features, truth


def test_the_posterior_is_the_conjugate_one():
    sums, features, _ = drawn(0)
    found = coefficient_model(sums, features)
    assert found.uses_features
    z = np.column_stack([np.ones(S), features])
    inverse = np.linalg.inv(found.spread)
    for s in range(S):
        covariance = np.linalg.inv(inverse + sums.precision[s])
        mean = covariance @ (inverse @ found.regression @ z[s] + sums.pull[s])
        assert found.mean[s] == pytest.approx(mean, abs=1e-9)
        # The error of A is added, and nothing is taken away.
        assert np.linalg.eigvalsh(found.covariance[s] - covariance).min() > -1e-9


def test_equal_segments_give_the_moment_estimate():
    """One coefficient, equal precision, no features: var of the estimates less their error."""
    g = np.random.default_rng(1)
    estimate, error = g.normal(0, 1.0, S), 0.2
    sums = CoefficientSums(
        np.full((S, 1, 1), 1 / error), (estimate / error)[:, None], np.full(S, 10)
    )
    found = coefficient_model(sums)
    assert found.spread[0, 0] == pytest.approx(np.var(estimate, ddof=1) - error, rel=1e-3)
    assert found.regression[0, 0] == pytest.approx(estimate.mean())
    shrunk = found.spread[0, 0] / (found.spread[0, 0] + error)
    assert found.mean[:, 0] == pytest.approx(
        estimate.mean() + shrunk * (estimate - estimate.mean())
    )


def test_features_and_a_spread_are_used_where_they_are_there():
    assert coefficient_model(*drawn(2)[:2]).uses_features
    nothing = [coefficient_model(*drawn(seed, told=0.0)[:2]) for seed in range(2)]
    assert not any(m.uses_features for m in nothing)
    assert all(m.spread.any() for m in nothing)
    same = [coefficient_model(*drawn(seed, told=0.0, apart=0.0)[:2]) for seed in range(2)]
    assert not any(m.spread.any() or m.uses_features for m in same)


@pytest.mark.statistics
def test_coefficients_lie_where_the_posterior_says():
    """300 segments seen and 60 unseen of drawn models: squared distances are chi-square of F.

    Their mean is F with an error of .14 and .32, and a little more where the spread is estimated,
    as it is: the bounds of 5 and 4 of these fail right code in less than 1 of 1,000.
    """
    seen, unseen = [], []
    for seed in range(3):
        sums, features, truth = drawn(seed, segments=120)
        for held in (sums.rounds, sums.precision, sums.pull):
            held[100:] = 0
        found = coefficient_model(sums, features)
        for s in range(120):
            less = truth[s] - found.mean[s]
            distance = less @ np.linalg.solve(found.covariance[s], less)
            (seen if s < 100 else unseen).append(distance)
        mean, covariance = found.unseen(features[100])
        assert mean == pytest.approx(found.mean[100])
        assert covariance == pytest.approx(found.covariance[100])
    assert np.mean(seen) == pytest.approx(F, abs=0.7)
    assert np.mean(unseen) == pytest.approx(F, abs=1.28)


def test_one_segment_is_no_comparison():
    sums, features, _ = drawn(0)
    sums.rounds[1:] = 0
    with pytest.raises(ValueError, match="two"):
        coefficient_model(sums, features)
