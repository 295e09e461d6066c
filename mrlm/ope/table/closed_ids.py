"""Names that may not come again, in eight bytes each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class ClosedIds:
    """A growing set of 64-bit keys, as sorted arrays of which each is at least twice the next.

    A key is compared with each of the few arrays, and merged as often as there are sizes, so a log
    of n requests costs n log n in all.
    """

    def __init__(self) -> None:
        self._levels: list[NDArray[np.uint64]] = []

    def seen(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which keys are in the set, or earlier among ``keys``, bool, shape (n,)."""
        found = np.ones(len(keys), np.bool_)
        found[np.unique(keys, return_index=True)[1]] = False
        for level in self._levels:
            at = np.minimum(np.searchsorted(level, keys), len(level) - 1)
            found |= level[at] == keys
        return found

    def add(self, keys: NDArray[np.uint64]) -> None:
        """Put keys that are not in the set into it."""
        if len(keys) == 0:
            return
        levels = self._levels
        levels.append(np.sort(keys))
        while len(levels) > 1 and len(levels[-2]) < 2 * len(levels[-1]):
            last = levels.pop()
            levels[-1] = np.sort(np.concatenate([levels[-1], last]), kind="stable")
