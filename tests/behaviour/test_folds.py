from __future__ import annotations

import numpy as np

from mrlm.bandit_log.user_folds import crc, user_folds

USERS = np.array([f"user-{i}" for i in range(3000)], object)


def test_folds_are_the_same_on_every_machine() -> None:
    # Literal values: a change here silently reshuffles every deployment's folds.
    assert user_folds(USERS[:8], 3, crc()).tolist() == [1, 0, 1, 0, 0, 2, 2, 2]


def test_a_user_has_one_fold_whatever_the_rows() -> None:
    order = np.random.default_rng(0).permutation(len(USERS))
    twice = np.concatenate([USERS[order], USERS])
    folds = user_folds(twice, 5, crc())
    assert (folds[: len(USERS)] == folds[len(USERS) :][order]).all()


def test_folds_are_of_like_size_and_salts_are_independent() -> None:
    first, second = user_folds(USERS, 3, crc()), user_folds(USERS, 3, crc("statistics"))
    table = np.zeros((3, 3))
    np.add.at(table, (first, second), 1)
    # 3000 users over 9 cells: mean 333, standard deviation 17; five of them either way.
    assert (np.abs(table - 3000 / 9) < 87).all()
