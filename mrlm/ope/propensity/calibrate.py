"""Calibration of estimated propensities: maps to apply, and the table that shows the result."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Offsets, rows, segment_log_softmax, segment_sum
from mrlm.bandit_log.users import group

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationBin:
    """Candidates of similar predicted propensity.

    Attributes:
        lower: smallest prediction in the bin.
        upper: largest.
        candidates: how many.
        predicted: mean prediction.
        observed: share of them that was shown.
        z: observed minus predicted in standard errors, clustered by user; 0 without spread.
    """

    lower: float
    upper: float
    candidates: int
    predicted: float
    observed: float
    z: float

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


def calibration_table(
    probability: Floats,
    offsets: Offsets,
    shown: NDArray[np.int64],
    cluster: NDArray[Any],
    bins: int = 10,
) -> tuple[CalibrationBin, ...]:
    """Predicted against observed share of shown candidates, in bins of equal predicted mass.

    Equal mass, not equal counts: most candidates of a large set have nearly no chance.

    Args:
        probability: float64, shape (N,), of every candidate.
        offsets: int64, shape (n + 1,), of the candidate sets.
        shown: int64, shape (n,), flat position of the shown item.
        cluster: int64 or str, shape (n,), users.
        bins: at most so many.
    """
    order = np.argsort(probability, kind="stable")
    mass = np.cumsum(probability[order])
    place = np.empty(len(order), np.int64)
    place[order] = np.minimum((mass / mass[-1] * bins).astype(np.int64), bins - 1)
    user = group(cluster)[1][rows(offsets)]
    off = -probability
    off[shown] += 1.0
    by_user = np.bincount(user * bins + place, off, (int(user.max()) + 1) * bins).reshape(-1, bins)
    spread = np.sqrt((by_user**2).sum(0))
    hit = np.bincount(place[shown], minlength=bins)
    out = []
    for k in np.unique(place):
        inside = probability[place == k]
        difference = float(by_user[:, k].sum())
        out.append(
            CalibrationBin(
                lower=float(inside.min()),
                upper=float(inside.max()),
                candidates=len(inside),
                predicted=float(inside.mean()),
                observed=int(hit[k]) / len(inside),
                z=difference / float(spread[k]) if spread[k] > 0 else 0.0,
            )
        )
    return tuple(out)


def fit_temperature(logits: Floats, offsets: Offsets, shown: NDArray[np.int64]) -> float:
    """Temperature T of largest likelihood of softmax(logits / T); Guo et al. (2017).

    Between 1/20 and 20.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = segment_log_softmax(logits * np.exp(-log_temperature), offsets)
        return -float(scaled[shown].mean())

    limit = np.log(20.0)
    found = minimize_scalar(loss, bounds=(-limit, limit), method="bounded")
    return float(np.exp(found.x))


@dataclass(frozen=True)
class IsotonicMap:
    """A non-decreasing map of predictions, linear between its knots.

    Attributes:
        at: float64, shape (B,), predictions, ascending.
        value: float64, shape (B,), in (0, 1].
    """

    at: Floats
    value: Floats

    def __call__(self, probability: Floats, offsets: Offsets) -> Floats:
        """Mapped probabilities, normalised to sum to 1 in each candidate set, shape (N,)."""
        mapped = np.interp(probability, self.at, self.value)
        return mapped / segment_sum(mapped, offsets)[rows(offsets)]


def fit_isotonic(probability: Floats, shown: NDArray[np.int64]) -> IsotonicMap:
    """Isotonic regression of being shown on the prediction; Zadrozny and Elkan (2002).

    The lowest step, where its candidates were never shown, gets half a showing, or half the next
    step where that is less, so that no propensity is 0.
    """
    from scipy.optimize import isotonic_regression

    at, place, count = np.unique(probability, return_inverse=True, return_counts=True)
    hit = np.bincount(place[shown], minlength=len(at))
    value = np.asarray(isotonic_regression(hit / count, weights=count).x, np.float64).copy()
    never = value <= 0
    if never.any():
        value[never] = min(0.5 / count[never].sum(), value[~never].min() / 2)
    return IsotonicMap(at, value)
