"""What every lift that a search can maximise offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.tuned_softmax import Slope, Vector


@dataclass(frozen=True)
class BoundedLift:
    """An estimated lift over the champion.

    Attributes:
        value: mean over decisions, in units of the objective.
        standard_error: clustered by user.
        lower: value - z * standard_error.
    """

    value: float
    standard_error: float
    lower: float


class EstimatedLift(Protocol):
    """An estimated lift over the champion as a function of the point (kappa, theta)."""

    @property
    def name(self) -> str:
        """Of the objective."""
        ...

    @property
    def used(self) -> NDArray[np.bool_]:
        """Rounds whose known reward the estimate rests on, shape (n,)."""
        ...

    @property
    def resolution(self) -> float:
        """Standard deviation of the champion's mean, in the objective's unit."""
        ...

    def lift(self, point: Vector, z: float) -> BoundedLift:
        """Estimate at a point of shape (1 + f,)."""
        ...

    def of_probabilities(self, probabilities: Vector, z: float) -> BoundedLift:
        """Estimate for any policy of these rounds, probabilities of shape (N,)."""
        ...

    def lower_bound(self, point: Vector, z: float) -> tuple[float, Slope]:
        """Value - z * standard error, and its gradient in the point, shape (1 + f,)."""
        ...

    def significance(self, point: Vector, basis: Vector) -> tuple[float, int, Vector]:
        """Test that no direction in ``basis`` changes the lift at the point.

        Args:
            point: where the gradient is taken.
            basis: directions, shape (1 + f, k).

        Returns:
            T^2 = g' S^+ g of the mean gradient, which is chi-square with ``rank`` degrees of
            freedom when no direction matters; the rank of S; and the direction S^+ g, shape (k,).
        """
        ...
