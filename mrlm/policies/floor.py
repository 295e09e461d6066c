"""The exploration floor that every policy applies, once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def with_floor(
    core: NDArray[np.float64], offsets: NDArray[np.int64], floor: float
) -> NDArray[np.float64]:
    """Log of (1 - floor) exp(core) + floor / K within each candidate set, shape (N,)."""
    if floor == 0.0:
        return core
    mixed = np.exp(core)
    mixed *= 1.0 - floor
    if len(offsets) == 2:
        mixed += floor / max(len(core), 1)
    else:
        lengths = np.diff(offsets)
        mixed += np.repeat(floor / np.maximum(lengths, 1), lengths)
    return np.log(mixed, out=mixed)
