"""What happened with each item before: shrunk mean rewards, kept by item identifier."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.last_call import LastCall


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


def fit_statistics(
    catalog: Catalog, codes: NDArray[np.int32], rewards: NDArray[np.float64], prior: float
) -> ItemStatistics:
    """Statistics of all rows; for rows that were not used here.

    Args:
        catalog: gives the identifiers.
        codes: item of each row, shape (n,).
        rewards: float64, shape (n, heads); NaN is left out.
        prior: rows of the overall mean that are added to each item's own.
    """
    total, count = _sums(codes, rewards, np.zeros(len(codes), np.int64), 1, len(catalog))
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
    def of(
        cls,
        codes: NDArray[np.integer],
        rewards: NDArray[np.float64],
        fold: NDArray[np.int64],
        prior: float,
    ) -> StatisticsOfFolds:
        """Of rows with these items, rewards (n, heads) and folds; see ``fit_statistics``."""
        items, place = np.unique(codes, return_inverse=True)
        total, count = _sums(place, rewards, fold, int(fold.max()) + 1, len(items))
        return cls(items, total, count, prior)

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
    codes: NDArray[np.integer],
    rewards: NDArray[np.float64],
    fold: NDArray[np.int64],
    folds: int,
    items: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of centred rewards and count of known ones, each (folds, items, heads)."""
    known = np.isfinite(rewards)
    mean = np.nanmean(np.where(known.any(axis=0), rewards, 0.0), axis=0)
    centred = np.where(known, rewards - mean, 0.0)
    cell = fold * items + codes.astype(np.int64)
    shape = (folds, items)
    total = [
        np.bincount(cell, weights=centred[:, j], minlength=folds * items).reshape(shape)
        for j in range(rewards.shape[1])
    ]
    count = [
        np.bincount(cell, weights=known[:, j], minlength=folds * items).reshape(shape)
        for j in range(rewards.shape[1])
    ]
    return np.stack(total, axis=-1), np.stack(count, axis=-1)


def _shrink(
    total: NDArray[np.float64], count: NDArray[np.float64], prior: float
) -> NDArray[np.float32]:
    rows = np.log1p(count.max(axis=-1, keepdims=True))
    return np.concatenate([total / (count + prior), rows], axis=-1).astype(np.float32)
