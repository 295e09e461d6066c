"""What happened with each item before: shrunk mean rewards, kept by item identifier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.last_call import LastCall


@dataclass(frozen=True)
class ShownRewards:
    """What n shown items brought, a part of all of them.

    Attributes:
        item: item codes, shape (n,).
        rewards: float64, shape (n, heads); NaN is left out.
        fold: int64, shape (n,), of each row's user.
    """

    item: NDArray[np.integer]
    rewards: NDArray[np.float64]
    fold: NDArray[np.int64]


@dataclass(frozen=True)
class ItemStatistics:
    """Shrunk mean reward of items, as difference from the overall mean.

    Attributes:
        item_id: str objects, shape (items with rows,), sorted.
        values: float32, shape (items with rows, heads + 1): each head's shrunk mean, then
            log(1 + rows).
    """

    item_id: NDArray[np.object_]
    values: NDArray[np.float32]
    _table: LastCall[Catalog, NDArray[np.float32]] = field(
        default_factory=LastCall, init=False, repr=False, compare=False
    )

    def table(self, catalog: Catalog) -> NDArray[np.float32]:
        """The statistics by item code, float32, shape (items, heads + 1); zeros where none."""
        return self._table.of(catalog, self._by_code)

    def rows(self, catalog: Catalog) -> NDArray[np.float64]:
        """Rewards of each item by code, float64, shape (items,)."""
        return np.expm1(self.table(catalog)[:, -1].astype(np.float64))

    def _by_code(self, catalog: Catalog) -> NDArray[np.float32]:
        out = np.zeros((len(catalog), self.values.shape[1]), np.float32)
        codes = catalog.codes(self.item_id)
        out[codes[codes >= 0]] = self.values[codes >= 0]
        return out


def fit_statistics(catalog: Catalog, parts: Iterable[ShownRewards], prior: float) -> ItemStatistics:
    """Statistics of all rows; for rows that were not used here.

    Args:
        catalog: gives the identifiers.
        parts: of the rows, at least one; gone through twice, one in memory at a time.
        prior: rows of the overall mean that are added to each item's own.
    """
    total, count = _sums(parts, np.arange(len(catalog)))
    values = _shrink(total[0], count[0], prior)
    seen = np.flatnonzero(count[0].max(axis=1) > 0)
    return ItemStatistics(catalog.item_id[seen], values[seen])


@dataclass(frozen=True)
class StatisticsOfFolds:
    """Statistics of items without the rows of one fold, whichever is asked for.

    A row's own outcome, and every other outcome of its user, is in its fold: what is read for the
    row without its fold holds none of them.

    Attributes:
        items: int, sorted item codes that have rows.
        total: float64, shape (folds, items, heads), sums of centred rewards.
        count: float64, shape (folds, items, heads), known rewards.
        prior: rows of the overall mean that are added to each item's own.
    """

    items: NDArray[np.integer]
    total: NDArray[np.float64]
    count: NDArray[np.float64]
    prior: float

    @classmethod
    def of(cls, parts: Iterable[ShownRewards], prior: float) -> StatisticsOfFolds:
        """Of all rows of the parts, at least one row; see ``fit_statistics``."""
        items, folds = np.zeros(0, np.int32), 1
        for part in parts:
            items = np.union1d(items, part.item)
            folds = max(folds, int(part.fold.max(initial=0)) + 1)
        return cls(items, *_sums(parts, items, folds), prior)

    def without(self, fold: NDArray[np.int64], codes: NDArray[np.integer]) -> NDArray[np.float32]:
        """Of each item without the rows of a fold, (m, heads + 1); zeros for an item without rows.

        Args:
            fold: which is left out, shape (m,).
            codes: items, shape (m,).
        """
        place = np.minimum(np.searchsorted(self.items, codes), len(self.items) - 1)
        left = self.total.sum(axis=0)[place] - self.total[fold, place]
        rows = self.count.sum(axis=0)[place] - self.count[fold, place]
        found = _shrink(left, rows, self.prior)
        found[self.items[place] != codes] = 0.0
        return found


def _sums(
    parts: Iterable[ShownRewards], items: NDArray[np.integer], folds: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of centred rewards and count of known ones, each (folds, items, heads).

    Args:
        parts: of the rows.
        items: sorted codes, among them those of all rows.
        folds: of the rows' users; None: one of all.
    """
    mean = _mean(parts)
    cells = (folds or 1) * len(items)
    total, count = np.zeros((len(mean), cells)), np.zeros((len(mean), cells))
    for part in parts:
        cell = np.searchsorted(items, part.item)
        if folds is not None:
            cell = part.fold * len(items) + cell
        known = np.isfinite(part.rewards)
        centred = np.where(known, part.rewards - mean, 0.0)
        for j in range(len(mean)):
            total[j] += np.bincount(cell, weights=centred[:, j], minlength=cells)
            count[j] += np.bincount(cell, weights=known[:, j], minlength=cells)
    shape = (len(mean), folds or 1, len(items))
    return np.moveaxis(total.reshape(shape), 0, -1), np.moveaxis(count.reshape(shape), 0, -1)


def _mean(parts: Iterable[ShownRewards]) -> NDArray[np.float64]:
    """Of the known rewards of each head; 0 where there are none."""
    total, count = np.zeros(1), np.zeros(1)
    for part in parts:
        known = np.isfinite(part.rewards)
        total = total + np.where(known, part.rewards, 0.0).sum(axis=0)
        count = count + known.sum(axis=0)
    return np.asarray(total / np.maximum(count, 1), np.float64)


def _shrink(
    total: NDArray[np.float64], count: NDArray[np.float64], prior: float
) -> NDArray[np.float32]:
    rows = np.log1p(count.max(axis=-1, keepdims=True))
    return np.concatenate([total / (count + prior), rows], axis=-1).astype(np.float32)
