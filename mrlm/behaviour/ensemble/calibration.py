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
        slope, intercept: float64, shape (m, 1, 1, heads).
        binary: places of the heads that are probabilities.
    """

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    binary: tuple[int, ...]

    @classmethod
    def of(cls, models: Sequence[Sequence[Calibration]]) -> HeadCalibrations:
        """Of models that agree in which heads are binary."""
        slope, intercept = (
            np.array([[getattr(c, x) for c in heads] for heads in models])[:, None, None]
            for x in ("slope", "intercept")
        )
        return cls(slope, intercept, tuple(j for j, c in enumerate(models[0]) if c.binary))

    def __call__(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated values of outputs, shape (m, members, N, heads)."""
        values: NDArray[np.float64] = outputs * self.slope
        values += self.intercept
        for j in self.binary:
            values[..., j] = expit(values[..., j])
        return values


def fit_calibration(
    outputs: NDArray[np.float64], rewards: NDArray[np.float64], binary: bool
) -> Calibration:
    """Fit on predictions for rows that the network did not see; unknown rewards are left out.

    The slope is never negative: a head that ranks worse than chance becomes constant.
    Source: Platt, Probabilistic outputs for support vector machines, 1999.
    """
    known = np.isfinite(rewards)
    x, y = outputs[known], rewards[known]
    if len(y) == 0:
        return Calibration(binary, 0.0, 0.0)
    if not binary:
        covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
        slope = max(covariance / float(x.var()), 0.0) if x.std() > 0 else 0.0
        return Calibration(False, slope, float(y.mean()) - slope * float(x.mean()))
    # One success and one failure more keep a head with a single class finite.
    share = (y.sum() + 1.0) / (len(y) + 2.0)
    target = y * (1.0 - 1.0 / (len(y) + 2.0)) + (1.0 - y) / (len(y) + 2.0)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = parameters[0] * x + parameters[1]
        value = float(np.mean(np.logaddexp(0.0, z) - target * z))
        error = expit(z) - target
        return value, np.array([np.mean(error * x), np.mean(error)])

    start = np.array([1.0, 0.0]) if x.std() > 0 else np.array([0.0, np.log(share / (1 - share))])
    fit = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    return Calibration(True, float(fit.x[0]), float(fit.x[1]))
