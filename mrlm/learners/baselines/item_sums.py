"""Sums of rewards by item and night, over logs that are longer than memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.learners.baselines.shown_items import shown_items

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ItemSums:
    """What the shown items of some nights brought, where it is known and final.

    Attributes:
        item_id: str objects, shape (items,), of the catalogue.
        nights: datetime64[D], shape (n,), those with such rewards, sorted.
        by_night: of each night the items with such rewards, int64 codes of shape (k,), and their
            number, sum and sum of squares, float64, shape (3, k).
    """

    item_id: NDArray[np.object_]
    nights: NDArray[np.datetime64]
    by_night: tuple[tuple[NDArray[np.int64], Floats], ...]

    @classmethod
    def of(cls, parts: Iterable[BanditLog], objective: str) -> ItemSums:
        """Of all decisions of some logs of one catalogue, at least one; one is in memory at a time.

        Raises:
            KeyError: a log has no such objective.
        """
        found: dict[np.datetime64, tuple[NDArray[np.int64], Floats]] = {}
        item_id = np.zeros(0, object)
        for log in parts:
            item_id = log.decisions.catalog.item_id
            row, code, reward = shown_items(log, objective)
            night = log.night[row]
            for name in np.unique(night):
                of = night == name
                sums = _sums(code[of], reward[of])
                found[name] = _added(found[name], sums) if name in found else sums
        nights = sorted(found)
        return cls(item_id, np.array(nights, "datetime64[D]"), tuple(found[n] for n in nights))

    def over(self, newest: int | None = None) -> tuple[NDArray[np.int64], Floats]:
        """Sums over all nights, or over the newest ones: codes, (k,), and sums, (3, k)."""
        total = np.zeros((3, len(self.item_id)))
        first = 0 if newest is None else max(len(self.by_night) - newest, 0)
        for item, sums in self.by_night[first:]:
            total[:, item] += sums
        seen = np.flatnonzero(total[0])
        return seen, total[:, seen]


def _sums(code: NDArray[np.int64], reward: Floats) -> tuple[NDArray[np.int64], Floats]:
    item, place = np.unique(code, return_inverse=True)
    weights = (np.ones(len(code)), reward, reward**2)
    return item, np.stack([np.bincount(place, w, minlength=len(item)) for w in weights])


def _added(
    one: tuple[NDArray[np.int64], Floats], other: tuple[NDArray[np.int64], Floats]
) -> tuple[NDArray[np.int64], Floats]:
    item = np.union1d(one[0], other[0])
    sums = np.zeros((3, len(item)))
    for codes, of in (one, other):
        sums[:, np.searchsorted(item, codes)] += of
    return item, sums
