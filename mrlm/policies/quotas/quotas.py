"""How often items and groups of items are shown: at most, and at least."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Quotas:
    """Limits of how often each of a catalogue's items is shown, over all requests together.

    Where they exclude each other the most counts before the least.

    Attributes:
        most: whole numbers, float64, shape (items,); infinite where an item has no limit.
        least: float64, shape (items,); 0 where nothing is asked for.
        group: int64, shape (items,), the group of each item, such as its provider.
        least_of_group: float64, shape (groups,); 0 where nothing is asked for.
    """

    most: Numbers
    least: Numbers
    group: NDArray[np.int64]
    least_of_group: Numbers

    @classmethod
    def at_most(cls, most: Numbers) -> Quotas:
        """Upper limits alone."""
        return cls(most, np.zeros(len(most)), np.zeros(len(most), np.int64), np.zeros(1))

    @property
    def asks_for_shows(self) -> bool:
        """Whether anything has to be shown."""
        return bool(self.least.any() or self.least_of_group.any())

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Which items have any limit, of their own or of their group; shape (items,)."""
        found: NDArray[np.bool_] = np.isfinite(self.most) | (self.least > 0)
        return found | (self.least_of_group[self.group] > 0)

    def after(self, shown: NDArray[np.int32]) -> Quotas:
        """What is left when these items, one a show, have been shown."""
        times = np.bincount(shown, minlength=len(self.most))
        of_group = np.bincount(self.group, times, minlength=len(self.least_of_group))
        return replace(
            self,
            most=self.most - times,
            least=np.maximum(self.least - times, 0.0),
            least_of_group=np.maximum(self.least_of_group - of_group, 0.0),
        )

    def due(self, item: NDArray[np.int64], offsets: NDArray[np.int64], slots: int) -> Quotas:
        """The part of what is asked for that falls to this slot of ``slots`` that are left.

        What an item or group lacks is spread evenly over the slots in which it is a candidate, so
        that no slot pays for it alone; a request of fewer candidates than slots has fewer slots.

        Args:
            item: code of every candidate of this slot, shape (N,).
            offsets: of the requests, shape (n + 1,).
            slots: 1 or more.
        """
        ahead = np.minimum(np.diff(offsets), slots)[rows(offsets)].astype(np.float64)
        items, groups = len(self.most), len(self.least_of_group)

        def share(code: NDArray[np.int64], size: int) -> Numbers:
            now = np.bincount(code, minlength=size)
            later = np.bincount(code, ahead, minlength=size)
            return np.divide(now, later, out=np.ones(size), where=later > 0)

        return replace(
            self,
            least=self.least * share(item, items),
            least_of_group=self.least_of_group * share(self.group[item], groups),
        )
