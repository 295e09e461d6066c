"""A linear last layer as a normal distribution: what few rows make of it, in one solve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class LastLayer:
    """Coefficients of f features: what is known of them before and after some rows.

    As the prior of a task it is what ANIL learns (Raghu et al., "Rapid learning or feature reuse?",
    ICLR 2020), with the inner loop solved exactly (Bertinetto et al., "Meta-learning with
    differentiable closed-form solvers", ICLR 2019).

    Attributes:
        mean: float64, shape (f,).
        covariance: float64, shape (f, f); 0 in the rows of what is taken to be known.
    """

    mean: Vector
    covariance: Vector

    def adapted(self, features: Vector, targets: Vector, noise: Vector) -> LastLayer:
        """The posterior after rows: exact, and the same for rows all at once or one by one.

        Needs no inverse of the covariance, so a coefficient that is known stays as it is.

        Args:
            features: float64, shape (n, f).
            targets: float64, shape (n,).
            noise: variance of each target around its line, float64, shape (n,), above 0.

        Raises:
            ValueError: the shapes do not agree, or a variance is not above 0.
        """
        if features.shape != (len(targets), len(self.mean)) or noise.shape != targets.shape:
            raise ValueError(
                f"features of shape {features.shape}, {targets.shape} targets and {noise.shape} "
                f"variances do not fit a layer of {len(self.mean)} coefficients"
            )
        if not (noise > 0).all():
            raise ValueError("the noise of every row has to be above 0")
        weighed = features / noise[:, None]
        shrunk = np.linalg.inv(np.eye(len(self.mean)) + self.covariance @ (features.T @ weighed))
        covariance = shrunk @ self.covariance
        covariance = (covariance + covariance.T) / 2
        return LastLayer(
            self.mean + covariance @ (weighed.T @ (targets - features @ self.mean)), covariance
        )

    def predicted(self, features: Vector) -> tuple[Vector, Vector]:
        """Mean and variance of each row's line, without its noise, both of shape (n,).

        The variance is what the rows so far leave open: it shrinks as they come.
        """
        variance = ((features @ self.covariance) * features).sum(axis=1)
        return features @ self.mean, np.maximum(variance, 0.0)
