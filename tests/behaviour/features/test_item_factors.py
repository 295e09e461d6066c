from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log import Catalog
from mrlm.behaviour.features.item_factors import ItemFactors, UserRewards, fit_item_factors
from mrlm.behaviour.settings import HistorySettings

CATALOG = Catalog.of_names([f"i{k:02d}" for k in range(40)])
SETTINGS = HistorySettings(factors=4, rounds=12, loading_prior=2.0, noise=0.5)


def fitted(user: np.ndarray, item: np.ndarray, rewards: np.ndarray, seed: int = 0) -> ItemFactors:
    return fit_item_factors("like", CATALOG, [UserRewards(user, item, rewards)], SETTINGS, seed)


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
    found = fitted(user, item, rewards)
    assert found.item_id.tolist() == CATALOG.item_id[:30].tolist()
    apart = ~np.eye(30, dtype=bool)
    learned = (found.loading @ found.loading.T)[apart]
    assert np.corrcoef(learned, np.outer(truth, truth)[apart])[0, 1] > 0.95


def test_the_same_seed_gives_the_same_bits_in_any_order_of_users() -> None:
    user, item, rewards, _ = drawn(1)
    one, two, other = (
        fitted(u, item, rewards, seed) for u, seed in ((user, 3), (user * 7, 3), (user, 4))
    )
    np.testing.assert_array_equal(one.loading, two.loading)
    assert (one.loading != other.loading).any()


def test_unknown_rewards_are_left_out() -> None:
    user, item, rewards, _ = drawn(2)
    unknown = item == 5
    some = np.where(unknown, np.nan, rewards)
    one = fitted(user, item, some)
    kept = ~unknown
    two = fitted(user[kept], item[kept], rewards[kept])
    np.testing.assert_array_equal(one.loading, two.loading)
    assert "i05" not in one.item_id
    mean, loading = (x[one.rows(CATALOG)] for x in one.padded())
    assert mean[5] == 0
    assert (loading[5] == 0).all()


def test_few_rewards_draw_an_item_to_nothing() -> None:
    user, item, rewards, _ = drawn(3)
    rare = np.flatnonzero(item == 0)[2:]
    kept = np.setdiff1d(np.arange(len(item)), rare)
    whole = fitted(user, item, rewards)
    few = fitted(user[kept], item[kept], rewards[kept])
    assert np.abs(few.loading[0]).sum() < 0.6 * np.abs(whole.loading[0]).sum()


def test_nothing_known_gives_no_items() -> None:
    nothing = np.full(3, np.nan)
    codes = np.zeros(3, np.int32)
    found = fitted(np.arange(3), codes, nothing)
    assert len(found.item_id) == 0
    assert (found.rows(CATALOG) == 0).all()
    assert found.padded()[1].shape == (1, 4)


def test_users_in_parts_give_the_same_as_all_at_once() -> None:
    user, item, rewards, _ = drawn(4)
    parts = [
        UserRewards(user[own], item[own], rewards[own])
        for own in (user < 40, (user >= 40) & (user < 220), user >= 220)
    ]
    whole = fitted(user, item, rewards)
    found = fit_item_factors("like", CATALOG, parts, SETTINGS, 0)
    np.testing.assert_allclose(found.loading, whole.loading, atol=1e-4)
    np.testing.assert_allclose(found.mean, whole.mean, atol=1e-6)


def test_rounds_go_on_from_what_is_known_of_some_items() -> None:
    user, item, rewards, _ = drawn(5)
    parts, known = [UserRewards(user, item, rewards)], item < 20
    some = fitted(user[known], item[known], rewards[known])
    once = SETTINGS.model_copy(update={"rounds": 2})
    found = fit_item_factors("like", CATALOG, parts, once, 9, some)
    whole = fitted(user, item, rewards)
    apart = ~np.eye(30, dtype=bool)
    first, second = ((f.loading @ f.loading.T)[apart] for f in (found, whole))
    assert np.corrcoef(first, second)[0, 1] > 0.99
