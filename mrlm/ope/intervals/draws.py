"""Bootstrap draws that belong to a user, whatever the shard or order the user came in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.user_folds import mixed

# Distribution function of the Poisson law of mean 1 at 0, 1, ...; 1 - 1e-17 at the last.
_POISSON = np.exp(-1.0) * np.cumsum(1.0 / np.cumprod([1.0, *np.arange(1.0, 18.0)]))


def poisson(key: NDArray[np.uint64], replicates: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Poisson draws of mean 1 of every user in every replicate, shape (B, C)."""
    bits = mixed(key[None, :] ^ mixed(replicates)[:, None])
    uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    found: NDArray[np.float64] = np.searchsorted(_POISSON, uniform, side="right").astype(np.float64)
    return found
