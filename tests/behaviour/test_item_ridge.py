from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log.ragged import rows
from mrlm.bandit_log.user_folds import split_mix, user_folds
from mrlm.behaviour.item_ridge import SALT, item_ridge


def world(n=200, items=4):
    g = np.random.default_rng(0)
    lengths = g.integers(1, items + 1, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    item = np.concatenate([g.permutation(items)[:k] for k in lengths])
    shown = offsets[:-1] + g.integers(0, lengths)
    rewards = g.normal(size=(n, 2))
    rewards[:20, 1] = np.nan
    return g.normal(2, 3, (n, 3)), g.integers(0, 50, n), offsets, item, shown, rewards


def test_each_item_has_its_own_ridge_of_other_users():
    context, cluster, offsets, item, shown, rewards = world()
    q = item_ridge(context, cluster, offsets, item, shown, rewards, folds=3, penalty=2.0)
    fold, row = user_folds(cluster, 3, split_mix(SALT)), rows(offsets)
    x = np.column_stack([np.ones(200), (context - context.mean(0)) / context.std(0)])
    for at in (0, 17, len(item) - 1):
        for j in range(2):
            use = (fold != fold[row[at]]) & ~np.isnan(rewards[:, j])
            mean = rewards[use, j].mean()
            own = use & (item[shown] == item[at])
            # The penalty as two rows more a column, each with the reward 0.
            more = np.vstack([x[own], np.sqrt(2.0) * np.eye(4)])
            y = np.concatenate([rewards[own, j] - mean, np.zeros(4)])
            beta = np.linalg.lstsq(more, y, rcond=None)[0]
            assert q[at, j] == pytest.approx(mean + x[row[at]] @ beta, abs=1e-9)


def test_own_rewards_do_not_reach_own_predictions():
    context, cluster, offsets, item, shown, rewards = world()
    before = item_ridge(context, cluster, offsets, item, shown, rewards)
    own = cluster == cluster[0]
    changed = np.where(own[:, None], 9.0, rewards)
    after = item_ridge(context, cluster, offsets, item, shown, changed)
    mine = own[rows(offsets)]
    assert np.array_equal(before[mine], after[mine])
    assert not np.array_equal(before, after)


def test_shapes_are_checked():
    context, cluster, offsets, item, shown, rewards = world()
    with pytest.raises(ValueError, match="of the 200 rounds"):
        item_ridge(context[1:], cluster, offsets, item, shown, rewards)
    with pytest.raises(ValueError, match="at least 2 folds"):
        item_ridge(context, cluster, offsets, item, shown, rewards, folds=1)
