from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log.user_folds import crc, split_mix, user_folds


@pytest.mark.parametrize(
    ("hashed", "texts", "integers"),
    [
        # Literal values: a change here reshuffles the folds of every figure that was published.
        (split_mix(), [2, 1, 2, 2, 1, 1, 1, 1], [1, 1, 2, 2, 0, 2, 2, 2]),
        (split_mix(1), [2, 2, 0, 1, 0, 1, 0, 1], [1, 1, 0, 2, 1, 2, 0, 0]),
        (crc(), [1, 0, 1, 0, 0, 2, 2, 2], [1, 1, 0, 1, 2, 0, 0, 2]),
    ],
)
def test_folds_are_the_same_on_every_machine(hashed, texts, integers):
    assert (
        user_folds(np.array([f"user-{i}" for i in range(8)], object), 3, hashed).tolist() == texts
    )
    assert user_folds(np.arange(8), 3, hashed).tolist() == integers


@pytest.mark.parametrize("hashed", [split_mix(), crc()])
def test_a_fold_is_the_users_own_and_no_user_has_none(hashed):
    users = np.array([f"u{i}" for i in np.random.default_rng(0).integers(0, 50, 300)], object)
    fold = user_folds(users, 4, hashed)
    for user in set(users):
        assert len(set(fold[users == user])) == 1
        assert user_folds(np.array([user], object), 4, hashed)[0] == fold[users == user][0]
    assert len(user_folds(users[:0], 4, hashed)) == 0
