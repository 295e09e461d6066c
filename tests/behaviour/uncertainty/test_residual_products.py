from __future__ import annotations

import numpy as np
import pytest

from mrlm.behaviour.uncertainty.layer_posterior import satterthwaite
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
    assert np.isnan(pairs.variances(one, one, one, [np.zeros(0)])).all()


def test_a_variance_is_never_negative() -> None:
    pairs = ResidualProducts.of(np.array([0, 0, 1, 1]))
    one = np.ones(4)
    assert pairs.variances(np.array([1.0, -1, 1, -1]), one, one, [np.ones(2)]).tolist() == [0.0]


@pytest.mark.statistics
def test_a_few_large_groups_do_not_decide() -> None:
    """Ten groups of 200 rows beside 300 of eight: as near to .5 as without them, over 60 seeds.

    The root of the mean square error is .09, with all pairs of 64 rows of each .18; its own
    standard error is .01.
    """
    size = np.append(np.full(300, 8), np.full(10, 200))
    group = np.repeat(np.arange(len(size)), size)
    pairs, one = ResidualProducts.of(group), np.ones(len(group))
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        level = np.sqrt(0.5) * rng.normal(size=len(size))[group]
        residual = 0.22 * level + np.sqrt(0.2) * rng.normal(size=len(group))
        kernels = [np.ones(len(pairs.first))]
        found.append(pairs.variances(residual, 0.22 * one, 0.2 * one, kernels)[0])
    assert np.sqrt(np.mean((np.array(found) - 0.5) ** 2)) < 0.13
    assert (np.bincount(group[pairs.first]) <= 256).all()
    newest = group[pairs.first] == len(size) - 1
    assert np.ptp(pairs.first[newest]) > 150, "from all over the group"


def test_kernels_that_are_alike_are_no_error() -> None:
    """As where a user saw one item all night: level and taste cannot be told apart."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(500), 6)
    residual = 0.3 * rng.normal(size=500)[group] + 0.4 * rng.normal(size=len(group))
    pairs, one = ResidualProducts.of(group), np.ones(len(group))
    kernel = rng.uniform(0.3, 1.0, len(pairs.first))
    both = pairs.variances(residual, 0.2 * one, 0.2 * one, [kernel, 1.37 * kernel])
    (alone,) = pairs.variances(residual, 0.2 * one, 0.2 * one, [kernel])
    assert both @ [1.0, 1.37] == pytest.approx(alone)


@pytest.mark.statistics
def test_the_error_of_variances_is_told() -> None:
    """Over 400 worlds of 150 users; a standard deviation of 400 is known within 7 %, twice that."""
    user = np.repeat(np.arange(150), 8)
    pairs, one = ResidualProducts.of(user), np.ones(len(user))
    kernels, found, told = [np.ones(len(pairs.first))], [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        level = np.sqrt(0.5) * rng.normal(size=150)[user]
        given = level + rng.normal(size=len(user)), one, one
        found.append(pairs.variances(*given, kernels))
        told.append(pairs.error(found[-1], user[pairs.first], *given, kernels)[0, 0])
    assert np.sqrt(np.mean(told)) == pytest.approx(np.std(found), rel=0.14)


def test_without_pairs_nothing_is_known_of_the_error() -> None:
    pairs, one = ResidualProducts.of(np.arange(5)), np.ones(5)
    found = pairs.error(np.zeros(1), np.zeros(0, np.int64), one, one, one, [np.zeros(0)])
    assert np.isnan(found).all()


@pytest.mark.parametrize(("users", "most"), [(1, 3.0), (2, 30.0)])
def test_few_users_tell_little_of_a_variance(users: int, most: float) -> None:
    """One user's products fit themselves, which is no proof that the variance is known."""
    user, rng = np.repeat(np.arange(users), 16), np.random.default_rng(3)
    pairs, one = ResidualProducts.of(user), np.ones(len(user))
    kernels = [np.ones(len(pairs.first))]
    given = 2.0 + rng.normal(size=len(user)), one, one
    found = pairs.variances(*given, kernels)
    error = pairs.error(found, user[pairs.first], *given, kernels)
    assert found[0] > 0
    assert satterthwaite(found[0], error[0, 0]) <= most
