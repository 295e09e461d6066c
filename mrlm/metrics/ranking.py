"""How well scores order outcomes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def auc(label: NDArray[np.generic], score: NDArray[np.float64]) -> float:
    """Chance that a positive scores above a negative, ties counting one half.

    Args:
        label: bool or 0 and 1, shape (n,).
        score: finite, shape (n,).

    Returns:
        The area under the ROC curve (Mann and Whitney, 1947); NaN when a class is missing.

    Raises:
        ValueError: the shapes differ, a label is neither 0 nor 1, or a score is not finite.
    """
    positive = _binary(label)
    if score.shape != positive.shape or not np.isfinite(score).all():
        raise ValueError("auc needs one finite score for each label")
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, value, count = np.unique(score, return_inverse=True, return_counts=True)
    # Tied scores share the mean of the ranks they occupy.
    rank = (np.cumsum(count) - (count - 1) / 2)[value]
    excess = float(rank[positive].sum()) - n_positive * (n_positive + 1) / 2
    return excess / (n_positive * n_negative)


def _binary(label: NDArray[np.generic]) -> NDArray[np.bool_]:
    values = np.asarray(label, np.float64)
    if not np.isin(values, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 or 1")
    return np.asarray(values == 1.0)
