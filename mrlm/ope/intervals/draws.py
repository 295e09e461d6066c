"""Bootstrap draws that belong to a user, whatever the shard or order the user came in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Distribution function of the Poisson law of mean 1 at 0, 1, ...; 1 - 1e-17 at the last.
_POISSON = np.exp(-1.0) * np.cumsum(1.0 / np.cumprod([1.0, *np.arange(1.0, 18.0)]))


def user_key(cluster: NDArray[Any]) -> NDArray[np.uint64]:
    """A 64-bit hash of each user, integer or string, shape (C,); the same in every process."""
    if cluster.dtype.kind in "iu":
        return mixed(cluster.astype(np.int64).view(np.uint64))
    text = cluster.astype(np.str_)
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


def poisson(key: NDArray[np.uint64], replicates: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Poisson draws of mean 1 of every user in every replicate, shape (B, C)."""
    bits = mixed(key[None, :] ^ mixed(replicates)[:, None])
    uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    found: NDArray[np.float64] = np.searchsorted(_POISSON, uniform, side="right").astype(np.float64)
    return found
