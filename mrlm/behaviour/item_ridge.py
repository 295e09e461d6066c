"""A default reward model: one ridge regression an item on the context, cross-fitted by user."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows
from mrlm.bandit_log.user_folds import split_mix, user_folds

Floats = NDArray[np.float64]
# Candidates predicted at once, so that no array of candidates x context is ever made whole.
AT_ONCE = 1 << 15
# The reward model's folds are not those that other parts cross-fit or choose by.
SALT = 1


def item_ridge(
    context: Floats,
    cluster: NDArray[Any],
    offsets: NDArray[np.int64],
    item: NDArray[np.int64],
    shown: NDArray[np.int64],
    rewards: Floats,
    folds: int = 5,
    penalty: float = 3.0,
) -> Floats:
    """Predicted reward q of every candidate, float64, shape (N, m), from other users' rounds.

    Each item has its own coefficients, so context and item interact; a regression on the context
    joined with the item's indicator is the same for all items up to a constant, and DR with it can
    lose to no model at all. An item's intercept is drawn to the mean of all rewards.

    Args:
        context: float64, shape (n, p).
        cluster: int64 or str, shape (n,), users.
        offsets: int64, shape (n + 1,), of the candidate sets.
        item: int64, shape (N,), item codes of all candidates, from 0.
        shown: int64, shape (n,), flat position of the shown item.
        rewards: float64, shape (n, m); NaN where unknown.
        folds: of users, at least 2.
        penalty: of every coefficient, in rounds, on standardised context.

    Raises:
        ValueError: shapes differ, or there are fewer than 2 folds.
    """
    n = len(shown)
    if len(context) != n or len(rewards) != n or len(offsets) != n + 1 or folds < 2:
        raise ValueError(
            f"context, rewards and offsets must be of the {n} rounds, with at least 2 folds; got "
            f"{len(context)}, {len(rewards)}, {len(offsets) - 1} and {folds} folds"
        )
    deviation = context.std(0)
    scaled = (context - context.mean(0)) / np.where(deviation > 0, deviation, 1.0)
    x = np.column_stack([np.ones(n), scaled])
    fold, items = user_folds(cluster, folds, split_mix(SALT)), int(item.max()) + 1
    coefficients = np.empty((folds, rewards.shape[1], items, x.shape[1]))
    for k in range(folds):
        for j in range(rewards.shape[1]):
            use = np.flatnonzero((fold != k) & ~np.isnan(rewards[:, j]))
            coefficients[k, j] = _fit(x[use], item[shown[use]], rewards[use, j], items, penalty)
    out = np.empty((len(item), rewards.shape[1]))
    row = rows(offsets)
    for start in range(0, len(item), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        for j in range(rewards.shape[1]):
            out[part, j] = np.vecdot(x[row[part]], coefficients[fold[row[part]], j, item[part]])
    return out


def _fit(x: Floats, item: NDArray[np.int64], reward: Floats, items: int, penalty: float) -> Floats:
    """Coefficients of every item, shape (items, p + 1)."""
    mean = reward.mean() if len(reward) else 0.0
    order = np.argsort(item, kind="stable")
    bounds = np.searchsorted(item[order], np.arange(items + 1))
    out = np.zeros((items, x.shape[1]))
    for a in range(items):
        own = order[bounds[a] : bounds[a + 1]]
        system = x[own].T @ x[own] + penalty * np.eye(x.shape[1])
        out[a] = np.linalg.solve(system, x[own].T @ (reward[own] - mean))
    out[:, 0] += mean
    return out
