from __future__ import annotations

import numpy as np
import pytest

from mrlm.behaviour.uncertainty.residual_products import ResidualProducts


def test_pairs_are_of_one_group_and_each_is_there_once() -> None:
    group = np.array([2, 0, 2, 1, 2, 0])
    pairs = ResidualProducts.of(group)
    found = {
        tuple(sorted(p)) for p in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    }
    assert found == {(0, 2), (0, 4), (2, 4), (1, 5)}
    assert len(pairs.first) == 4


@pytest.mark.statistics
def test_variances_are_found_whatever_the_noise() -> None:
    """2,000 groups: both are met within .1, five of their standard errors; the seed is fixed."""
    rng = np.random.default_rng(0)
    groups, rows = 2000, 10
    group = np.repeat(np.arange(groups), rows)
    vector = rng.normal(size=(len(group), 3)) / np.sqrt(3)
    level = np.sqrt(0.5) * rng.normal(size=groups)[group]
    taste = np.sqrt(0.8) * (rng.normal(size=(groups, 3))[group] * vector).sum(axis=1)
    noise = rng.uniform(0.5, 3.0, len(group))
    slope = rng.uniform(0.5, 1.5, len(group))
    residual = slope * (level + taste) + np.sqrt(noise) * rng.normal(size=len(group))
    pairs = ResidualProducts.of(group)
    alike = (vector[pairs.first] * vector[pairs.second]).sum(axis=1)
    kernels = [np.ones(len(alike)), alike]
    np.testing.assert_allclose(
        pairs.variances(residual, slope, noise, kernels), [0.5, 0.8], atol=0.1
    )


def test_without_pairs_nothing_is_known() -> None:
    pairs = ResidualProducts.of(np.arange(5))
    one = np.ones(5)
    assert pairs.variances(one, one, one, [np.zeros(0)]).tolist() == [0.0]


def test_a_variance_is_never_negative() -> None:
    pairs = ResidualProducts.of(np.array([0, 0, 1, 1]))
    one = np.ones(4)
    assert pairs.variances(np.array([1.0, -1, 1, -1]), one, one, [np.ones(2)]).tolist() == [0.0]
