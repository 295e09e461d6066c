"""Calibration of one head: Platt's logistic map or a straight line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit


@dataclass(frozen=True)
class Calibration:
    """value = expit(slope · x + intercept) when ``binary``, else slope · x + intercept."""

    binary: bool
    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated values, same shape."""
        line = self.slope * outputs + self.intercept
        return expit(line) if self.binary else line


@dataclass(frozen=True, eq=False)
class HeadCalibrations:
    """Calibrations of the same heads of m models at once.

    Attributes:
        slope, intercept: float64, shape (heads, m, 1, 1).
        binary: places of the heads that are probabilities.
    """

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    binary: tuple[int, ...]

    @classmethod
    def of(cls, models: Sequence[Sequence[Calibration]]) -> HeadCalibrations:
        """Of models that agree in which heads are binary."""
        slope, intercept = (
            np.array([[getattr(c, x) for c in heads] for heads in models]).T[..., None, None]
            for x in ("slope", "intercept")
        )
        return cls(slope, intercept, tuple(j for j, c in enumerate(models[0]) if c.binary))

    def __call__(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated values of outputs, shape (heads, m, members, N)."""
        values: NDArray[np.float64] = outputs * self.slope
        values += self.intercept
        for j in self.binary:
            expit(values[j], out=values[j])
        return values


def fit_calibration(
    outputs: NDArray[np.float64],
    rewards: NDArray[np.float64],
    binary: bool,
    weights: NDArray[np.float64] | None = None,
) -> Calibration:
    """Fit on predictions for rows that the network did not see; unknown rewards are left out.

    The slope is never negative: a head that ranks worse than chance becomes constant.
    Source: Platt, Probabilistic outputs for support vector machines, 1999.

    Args:
        outputs: float64, shape (n,).
        rewards: float64, shape (n,); NaN where unknown.
        binary: whether the rewards are 0 and 1.
        weights: how much each row counts, above 0, shape (n,); None: all alike.
    """
    known = np.isfinite(rewards)
    x, y = outputs[known], rewards[known]
    if len(y) == 0:
        return Calibration(binary, 0.0, 0.0)
    w = np.ones(len(y)) if weights is None else weights[known] / weights[known].mean()
    if not binary:
        centre, level = float(np.mean(w * x)), float(np.mean(w * y))
        covariance = float(np.mean(w * (x - centre) * (y - level)))
        variance = float(np.mean(w * (x - centre) ** 2))
        slope = max(covariance / variance, 0.0) if x.std() > 0 else 0.0
        return Calibration(False, slope, level - slope * centre)
    # One success and one failure more keep a head with a single class finite.
    share = (float((w * y).sum()) + 1.0) / (len(y) + 2.0)
    target = y * (1.0 - 1.0 / (len(y) + 2.0)) + (1.0 - y) / (len(y) + 2.0)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = parameters[0] * x + parameters[1]
        value = float(np.mean(w * (np.logaddexp(0.0, z) - target * z)))
        error = w * (expit(z) - target)
        return value, np.array([np.mean(error * x), np.mean(error)])

    start = np.array([1.0, 0.0]) if x.std() > 0 else np.array([0.0, np.log(share / (1 - share))])
    fit = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    return Calibration(True, float(fit.x[0]), float(fit.x[1]))
