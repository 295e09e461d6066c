"""Folds of users: the same user is always in the same fold, on every machine and night."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray


def user_folds(user: NDArray[np.object_], folds: int, salt: str = "") -> NDArray[np.int64]:
    """Fold of each user, int64, same length, in [0, folds).

    A hash of the pseudonym decides (CRC-32 of ``salt`` and pseudonym, then mixed), never the order
    of rows or Python's own hash, which changes between processes.
    """
    names, place = np.unique(user.astype(str), return_inverse=True)
    seed = zlib.crc32(salt.encode())
    hashed = np.array([zlib.crc32(n.encode(), seed) for n in names], np.uint64)
    # CRC is linear: without a multiplication, two salts could split users alike.
    mixed = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    return (mixed % np.uint64(folds)).astype(np.int64)[place]
