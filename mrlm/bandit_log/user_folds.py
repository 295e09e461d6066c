"""Folds of users for cross-fitting and for choice: a hash decides, never order, shard or process.

There are two hashes, since each is part of what others hold: a stored reward model predicts a user
by the member that never saw that user, whom CRC-32 chose, and published figures of evaluation were
made with the folds of SplitMix64.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group

Hash = Callable[[NDArray[Any]], NDArray[np.uint64]]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def split_mix(salt: int = 0) -> Hash:
    """The hash of ``user_key``, mixed with a salt; for integers and texts."""
    mixed_salt = mixed(np.full(1, salt, np.uint64))
    return lambda user: mixed(user_key(user) ^ mixed_salt)


def crc(salt: str = "") -> Hash:
    """CRC-32 of salt and name, then mixed; an integer is hashed as its decimal digits."""
    seed = zlib.crc32(salt.encode())

    def hashed(user: NDArray[Any]) -> NDArray[np.uint64]:
        names = np.array([zlib.crc32(str(u).encode(), seed) for u in user.tolist()], np.uint64)
        # CRC is linear: without a multiplication, two salts could split users alike.
        return (names * _GOLDEN) >> np.uint64(32)

    return hashed


def user_folds(user: NDArray[Any], folds: int, hashed: Hash | None = None) -> NDArray[np.int64]:
    """Fold of each round's user, int64, shape (n,), in [0, folds).

    Args:
        user: integers or texts, shape (n,).
        folds: number of folds; a log of few users may leave one empty.
        hashed: gives a number for each of the unique users; another salt, or another hash, splits
            them another way. None is ``split_mix()``.
    """
    if len(user) == 0:
        return np.zeros(0, np.int64)
    found, code = group(user)
    key = (hashed or split_mix())(found)
    return (key % np.uint64(folds)).astype(np.int64)[code]


def user_key(user: NDArray[Any]) -> NDArray[np.uint64]:
    """A 64-bit hash of each user, integer or string, shape (C,); the same in every process."""
    if user.dtype.kind in "iu":
        return mixed(user.astype(np.int64).view(np.uint64))
    text = user.astype(np.str_)
    width = max(text.dtype.itemsize // 4, 1)
    letters = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), width)
    key = np.zeros(len(text), np.uint64)
    for column in letters.T:
        # Padding leaves the hash alone, so that it does not depend on the longest name.
        key = np.where(column > 0, mixed(key ^ (column.astype(np.uint64) + np.uint64(1))), key)
    return key


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64: Steele, Lea and Flood (2014)."""
    z = x + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return found
