"""Drift: does a night lie further from the trailing nights than they do from each other?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import t as student

Floats = NDArray[np.float64]
FEWEST_NIGHTS = 4
# Of one warning on a night like the others; a night has some twenty.
ERROR = 1e-3
# The usual reading of the population stability index: below 0.1 nothing has moved.
INDEX_FLOOR = 0.1
# Log of a ratio of rates: one that moved by less than a fifth is not worth a warning.
RATE_FLOOR = 0.18
# What moves a histogram from night to night is taken to have two dimensions.
_DIMENSIONS = 2


@dataclass(frozen=True)
class Drift:
    """How far a night lies from the trailing ones.

    Attributes:
        distance: of tonight.
        threshold: above which it is worth a warning.
        trailing: distance of every trailing night from the others, oldest first.
    """

    distance: float
    threshold: float
    trailing: tuple[float, ...]

    @property
    def warned(self) -> bool:
        """Whether tonight lies beyond the threshold."""
        return self.distance > self.threshold


def stability_index(counts: Floats, reference: Floats) -> float:
    """Population stability index of two histograms: sum of (p - r) log(p / r).

    Siddiqi, Credit Risk Scorecards (2006), chapter 9. Half a count is added to every bin.

    Args:
        counts: float64, shape (b,).
        reference: float64, shape (b,).
    """
    p, r = counts + 0.5, reference + 0.5
    p, r = p / p.sum(), r / r.sum()
    return float(((p - r) * np.log(p / r)).sum())


def histogram_drift(counts: Floats, trailing: Sequence[Floats]) -> Drift | None:
    """Drift of a histogram by the stability index; None with fewer than four trailing nights.

    The threshold is 0.1 or, where the trailing nights differ more among themselves, as many times
    the mean of their own indices as an F ratio exceeds by chance once in a thousand nights. The
    index of a like night is about a chi-square over its scale (Yurdakul and Naranjo, Statistical
    properties of the population stability index, Journal of Risk Model Validation 2020).

    Args:
        counts: of tonight, float64, shape (b,).
        trailing: of earlier nights, each of the same shape.
    """
    if len(trailing) < FEWEST_NIGHTS or counts.sum() == 0:
        return None
    table = np.stack(trailing)
    whole = table.sum(axis=0)
    own = tuple(stability_index(night, whole - night) for night in table)
    times = f_distribution.isf(ERROR, _DIMENSIONS, _DIMENSIONS * len(table))
    threshold = max(INDEX_FLOOR, float(times * np.mean(own)))
    return Drift(stability_index(counts, whole), threshold, own)


def rate_drift(rate: float, trailing: Sequence[float]) -> Drift | None:
    """Drift of a rate by the log of its ratio to the trailing nights' geometric mean.

    The threshold is 0.18 or, where the trailing nights vary more, Student's prediction interval at
    an error of one in a thousand. None with fewer than four trailing nights, or where a rate is 0:
    rules on counts speak then.
    """
    values = np.array([t for t in trailing if t > 0])
    if len(values) < FEWEST_NIGHTS or rate <= 0:
        return None
    logs, n = np.log(values), len(values)
    error = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / n)
    threshold = max(RATE_FLOOR, float(student.isf(ERROR / 2, n - 1)) * error)
    own = tuple(float(abs(x - logs.mean())) for x in logs)
    return Drift(float(abs(np.log(rate) - logs.mean())), threshold, own)


def deciles(values: Floats, weights: Floats) -> list[float]:
    """At most nine distinct inner edges that cut the weighted values into tenths.

    Args:
        values: finite, float64, shape (n,).
        weights: at least 0, the same shape.
    """
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    if not len(order) or cumulative[-1] <= 0:
        return []
    wanted = cumulative[-1] * np.arange(1, 10) / 10
    place = np.minimum(np.searchsorted(cumulative, wanted), len(order) - 1)
    return sorted({float(v) for v in values[order][place]})


def binned(values: Floats, weights: Floats, edges: Sequence[float]) -> Floats:
    """Weights by bin, float64, shape (len(edges) + 2,); the last bin is of values not finite."""
    known = np.isfinite(values)
    place = np.searchsorted(np.array(edges, np.float64), values, side="left")
    place = np.where(known, place, len(edges) + 1)
    return np.asarray(np.bincount(place, weights, len(edges) + 2), np.float64)
