"""Who is shown: exposure of items, its concentration, coverage and diversity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Ragged


def exposure(
    probability: NDArray[np.float64], item: NDArray[np.int32], items: int
) -> NDArray[np.float64]:
    """Expected number of times that each item is shown, float64, shape (items,).

    Args:
        probability: of every candidate, shape (N,).
        item: code of every candidate, shape (N,).
        items: size of the catalogue.
    """
    return np.bincount(item, weights=probability, minlength=items).astype(np.float64)


def gini(shown: NDArray[np.float64]) -> float:
    """Gini coefficient of exposure: 0 when all items are shown alike, near 1 when one has it all.

    NaN where nothing is shown.

    Raises:
        ValueError: an exposure is negative or not finite.
    """
    if not (np.isfinite(shown).all() and (shown >= 0).all()):
        raise ValueError("exposures must be finite and not negative")
    total = float(shown.sum())
    if total == 0:
        return float("nan")
    n = len(shown)
    rank = np.arange(1, n + 1)
    return float((2 * rank - n - 1) @ np.sort(shown)) / (n * total)


def coverage(shown: NDArray[np.float64], at_least: float = 1.0) -> float:
    """Share of the catalogue whose expected exposure reaches ``at_least``; NaN when it is empty."""
    return float(np.mean(shown >= at_least)) if len(shown) else float("nan")


def category_entropy(shown: NDArray[np.float64], categories: Ragged, names: int) -> float:
    """Entropy of exposure over categories, nats: 0 for one category, log(names) when even.

    An item's exposure is split evenly over its categories; items without any do not count. NaN
    where no exposure is left.

    Args:
        shown: exposure of each item, shape (items,).
        categories: int codes, one row an item.
        names: number of categories.
    """
    lengths = categories.lengths
    share = np.divide(shown, lengths, out=np.zeros(len(shown)), where=lengths > 0)
    total = np.bincount(
        categories.values.astype(np.int64), np.repeat(share, lengths), minlength=names
    )
    if not total.sum() > 0:
        return float("nan")
    p = total[total > 0] / total.sum()
    return float(-(p @ np.log(p)))
