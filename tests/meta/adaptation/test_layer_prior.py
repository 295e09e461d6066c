"""The learnt prior: exact given its spreads, the likeliest ones, and of use to whom is new."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mrlm.behaviour.uncertainty.last_layer import LastLayer
from mrlm.meta.adaptation.layer_prior import layer_prior

ITEMS, USERS, ROWS = 30, 40, 900
ITEM, EMPTY = 0, 1


def drawn(seed=0, rows=ROWS):
    """Marks with items' and users' levels, and a block of three columns that say nothing."""
    g = np.random.default_rng(seed)
    item, user = g.integers(0, ITEMS, rows), g.integers(0, USERS, rows)
    level = g.normal(0, 0.8, ITEMS)
    x = np.zeros((rows, ITEMS + 3))
    x[np.arange(rows), item] = 1.0
    x[:, ITEMS:] = g.normal(size=(rows, 3))
    block = np.repeat([ITEM, EMPTY], [ITEMS, 3])
    y = 3.0 + level[item] + g.normal(0, 0.5, USERS)[user] + g.normal(0, 1.0, rows)
    return x, block, user, y, level


def dense(x, block, user, y, spread, noise):
    """Mean and covariance of all coefficients, users' last, and minus the log likelihood."""
    whole = np.column_stack([x, np.eye(USERS)[user]])
    prior = np.append(spread[:-1][block], np.full(USERS, spread[-1]))
    left = y - y.mean()
    covariance = np.linalg.inv(whole.T @ whole / noise + np.diag(1 / prior))
    of_rows = (whole * prior) @ whole.T + noise * np.eye(len(y))
    likelihood = np.linalg.slogdet(of_rows)[1] + left @ np.linalg.solve(of_rows, left)
    return covariance @ whole.T @ left / noise, covariance, likelihood / 2


def test_users_are_solved_out_exactly():
    x, block, user, y, _ = drawn()
    found = layer_prior(csr_matrix(x), block, user, y)
    mean, covariance, _ = dense(
        x, block, user, y, np.append(found.spread, found.user_spread), found.noise
    )
    f = x.shape[1]
    assert found.layer.mean == pytest.approx(mean[:f], abs=1e-9)
    assert found.layer.covariance == pytest.approx(covariance[:f, :f], abs=1e-9)
    assert found.user_mean == pytest.approx(mean[f:], abs=1e-9)
    assert found.user_variance == pytest.approx(np.diag(covariance)[f:], abs=1e-9)


def test_no_other_spreads_are_likelier():
    x, block, user, y, _ = drawn(rows=400)
    found = layer_prior(csr_matrix(x), block, user, y)

    at = np.array([*found.spread, found.user_spread, found.noise])
    least = dense(x, block, user, y, at[:-1], at[-1])[2]
    for k in range(len(at)):
        for factor in (0.7, 1.4):
            other = at * np.where(np.arange(len(at)) == k, factor, 1.0)
            assert dense(x, block, user, y, other[:-1], other[-1])[2] > least - 1e-3
    assert found.spread[EMPTY] < 0.01 < found.spread[ITEM]


def test_a_new_group_gains_from_the_others_spread():
    """Five rows of each new item, its spread from others: nearer than its mean, over 12 worlds.

    The expected squared error is .72 of the mean's, .64 / (.64 + 1.25 / 5); over 360 items the
    ratio's standard error is about .025, so .85 fails right code in less than 1 in 1e6 runs.
    """
    ours = means = 0.0
    for seed in range(12):
        x, block, user, y, _ = drawn(seed)
        found = layer_prior(csr_matrix(x), block, user, y)
        g = np.random.default_rng([seed, 1])
        level = g.normal(0, 0.8, ITEMS)
        few = np.repeat(np.eye(ITEMS), 5, axis=0)
        target = few @ level + g.normal(0, np.sqrt(1.25), len(few))
        new = LastLayer(np.zeros(ITEMS), found.spread[ITEM] * np.eye(ITEMS))
        noise = np.full(len(few), found.noise + found.user_spread)
        ours += ((new.adapted(few, target, noise).mean - level) ** 2).mean()
        means += ((target.reshape(ITEMS, 5).mean(axis=1) - level) ** 2).mean()
    assert ours < 0.85 * means


def test_equal_targets_are_refused():
    with pytest.raises(ValueError, match="all targets are the same"):
        layer_prior(csr_matrix(np.eye(3)), np.zeros(3, np.int64), np.arange(3), np.ones(3))
