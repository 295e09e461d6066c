"""The area under the ROC curve with errors that allow for several rows a user."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.metrics.clustered import Clustered, Floats
from mrlm.metrics.ranking import auc


def clustered_auc(
    label: NDArray[np.generic], score: Floats, cluster: NDArray[np.int64]
) -> Clustered:
    """The area of one score, with its error clustered.

    The area is a mean over pairs of a positive and a negative row; its influence is that of the
    U-statistic, summed within clusters. Source: Obuchowski, Nonparametric analysis of clustered ROC
    curve data, 1997, of which this is the form with one factor for all clusters.

    Args:
        label: bool or 0 and 1, shape (n,).
        score: finite, shape (n,).
        cluster: from 0, shape (n,); every number to the highest is there.

    Raises:
        ValueError: as ``auc``, or a class is missing.
    """
    value = auc(label, score)
    if np.isnan(value):
        raise ValueError("an area needs rows of both classes")
    positive = np.asarray(label, np.float64) == 1.0
    share = np.where(
        positive, _below(score[~positive], score), 1.0 - _below(score[positive], score)
    )
    many = np.where(positive, positive.sum(), (~positive).sum())
    own = np.bincount(cluster, weights=(share - value) / many)
    return Clustered(value, np.asarray(own, np.float64))


def auc_within(label: NDArray[np.generic], score: Floats, group: NDArray[np.int64]) -> float:
    """Mean over groups of the area within each, weighed by its rows.

    Groups with one class only are left out; NaN where all are. Source: Zhu et al., Optimized cost
    per click in Taobao display advertising, 2017 (GAUC).

    Args:
        label: bool or 0 and 1, shape (n,).
        score: finite, shape (n,).
        group: from 0, shape (n,): the user of each row.
    """
    order = np.argsort(group, kind="stable")
    edges = np.flatnonzero(np.diff(group[order])) + 1
    total = weight = 0.0
    for part in np.split(order, edges):
        area = auc(label[part], score[part]) if len(part) else float("nan")
        if not np.isnan(area):
            total += area * len(part)
            weight += len(part)
    return total / weight if weight else float("nan")


def _below(others: Floats, score: Floats) -> Floats:
    """Share of ``others`` below each score, equal ones counting one half."""
    ordered = np.sort(others)
    low = np.searchsorted(ordered, score, side="left")
    high = np.searchsorted(ordered, score, side="right")
    return np.asarray((low + high) / (2.0 * len(ordered)), np.float64)
