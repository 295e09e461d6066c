"""Whether predicted values mean what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reliability:
    """Predictions against outcomes in bins of equal counts, b bins in order of the prediction.

    Attributes:
        count: int64, shape (b,).
        predicted: float64, shape (b,), mean prediction.
        observed: float64, shape (b,), mean outcome.
    """

    count: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean of |predicted - observed| over the rows."""
        gap = np.abs(self.predicted - self.observed)
        return float(gap @ self.count / self.count.sum())


def log_loss(
    label: NDArray[np.generic], probability: NDArray[np.float64], clip: float = 1e-12
) -> float:
    """Mean negative log likelihood of 0 and 1 outcomes, nats; see ``log_losses``."""
    return float(log_losses(label, probability, clip).mean())


def log_losses(
    label: NDArray[np.generic], probability: NDArray[np.float64], clip: float = 1e-12
) -> NDArray[np.float64]:
    """Negative log likelihood of each 0 or 1 outcome, nats, float64, shape (n,).

    Args:
        label: bool or 0 and 1, shape (n,).
        probability: of a 1, shape (n,); moved into [clip, 1 - clip].
        clip: keeps a certain and wrong prediction finite.

    Raises:
        ValueError: the arrays are empty or differ in shape, or a probability is not in [0, 1].
    """
    y = np.asarray(label, np.float64)
    if y.shape != probability.shape or len(y) == 0:
        raise ValueError("log loss needs one probability for each label, and at least one")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must be in [0, 1]")
    p = np.clip(probability, clip, 1 - clip)
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)), np.float64)


def reliability(
    outcome: NDArray[np.generic], prediction: NDArray[np.float64], bins: int = 10
) -> Reliability:
    """Mean prediction and mean outcome in up to ``bins`` bins of equal counts.

    Equal predictions are never split, so there may be fewer bins. Outcomes may be any numbers.

    Raises:
        ValueError: the arrays are empty or differ in shape, or a value is not finite.
    """
    y = np.asarray(outcome, np.float64)
    if y.shape != prediction.shape or len(y) == 0:
        raise ValueError("reliability needs one prediction for each outcome, and at least one")
    if not (np.isfinite(y).all() and np.isfinite(prediction).all()):
        raise ValueError("outcomes and predictions must be finite")
    edges = np.unique(np.quantile(prediction, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, prediction, side="left")
    count = np.bincount(place, minlength=len(edges) + 1)
    kept = count > 0
    return Reliability(
        count=count[kept],
        predicted=np.bincount(place, prediction, len(count))[kept] / count[kept],
        observed=np.bincount(place, y, len(count))[kept] / count[kept],
    )


def calibration_error(
    outcome: NDArray[np.generic], prediction: NDArray[np.float64], bins: int = 10
) -> float:
    """Expected calibration error over bins of equal counts, in units of the outcome.

    Naeini, Cooper and Hauskrecht (2015).

    Raises:
        ValueError: as ``reliability``.
    """
    return reliability(outcome, prediction, bins).error
