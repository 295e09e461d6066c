from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log import Catalog
from mrlm.behaviour.features.item_factors import fit_item_factors
from mrlm.behaviour.settings import HistorySettings

CATALOG = Catalog.of_names([f"i{k:02d}" for k in range(40)])
SETTINGS = HistorySettings(factors=4, rounds=12, loading_prior=2.0, noise=0.5)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Half of the pairs of 300 users and 30 items; the users' taste is one number."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(size=30)
    user, item = np.nonzero(draw.random((300, 30)) < 0.5)
    taste = draw.normal(size=300)
    rewards = taste[user] * truth[item] + draw.normal(size=len(user)) * 0.5 + 0.3
    return user, item.astype(np.int32), rewards, truth


@pytest.mark.statistics
def test_items_that_the_same_users_liked_point_the_same_way() -> None:
    """Of one seed: products of loadings follow those of the truth; chance gives about 0."""
    user, item, rewards, truth = drawn(0)
    found = fit_item_factors("like", CATALOG, user, item, rewards, SETTINGS, seed=0)
    assert found.item_id.tolist() == CATALOG.item_id[:30].tolist()
    apart = ~np.eye(30, dtype=bool)
    learned = (found.loading @ found.loading.T)[apart]
    assert np.corrcoef(learned, np.outer(truth, truth)[apart])[0, 1] > 0.95


def test_the_same_seed_gives_the_same_bits_in_any_order_of_users() -> None:
    user, item, rewards, _ = drawn(1)
    one, two, other = (
        fit_item_factors("like", CATALOG, u, item, rewards, SETTINGS, seed)
        for u, seed in ((user, 3), (user * 7, 3), (user, 4))
    )
    np.testing.assert_array_equal(one.loading, two.loading)
    assert (one.loading != other.loading).any()


def test_unknown_rewards_are_left_out() -> None:
    user, item, rewards, _ = drawn(2)
    unknown = item == 5
    some = np.where(unknown, np.nan, rewards)
    one = fit_item_factors("like", CATALOG, user, item, some, SETTINGS, 0)
    kept = ~unknown
    two = fit_item_factors("like", CATALOG, user[kept], item[kept], rewards[kept], SETTINGS, 0)
    np.testing.assert_array_equal(one.loading, two.loading)
    assert "i05" not in one.item_id
    mean, loading = (x[one.rows(CATALOG)] for x in one.padded())
    assert mean[5] == 0
    assert (loading[5] == 0).all()


def test_few_rewards_draw_an_item_to_nothing() -> None:
    user, item, rewards, _ = drawn(3)
    rare = np.flatnonzero(item == 0)[2:]
    kept = np.setdiff1d(np.arange(len(item)), rare)
    whole = fit_item_factors("like", CATALOG, user, item, rewards, SETTINGS, 0)
    few = fit_item_factors("like", CATALOG, user[kept], item[kept], rewards[kept], SETTINGS, 0)
    assert np.abs(few.loading[0]).sum() < 0.6 * np.abs(whole.loading[0]).sum()


def test_nothing_known_gives_no_items() -> None:
    nothing = np.full(3, np.nan)
    codes = np.zeros(3, np.int32)
    found = fit_item_factors("like", CATALOG, np.arange(3), codes, nothing, SETTINGS, 0)
    assert len(found.item_id) == 0
    assert (found.rows(CATALOG) == 0).all()
    assert found.padded()[1].shape == (1, 4)
