"""Where a point is searched for: free coordinates, their box, and the sum of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mrlm.meta.problem.tuned_softmax import Vector


@dataclass(frozen=True)
class Space:
    """Where is searched: points (kappa, theta) are ``basis`` times d free coordinates.

    Attributes:
        basis: float64, shape (1 + f, d); the first coordinate is kappa.
        lowest: of each coordinate, shape (d,).
        highest: of each coordinate, shape (d,).
        norm: ``norm @ coordinates`` is the sum of the weights, shape (d,).
        scale: largest sum of the weights.
    """

    basis: Vector
    lowest: Vector
    highest: Vector
    norm: Vector
    scale: float

    @property
    def origin(self) -> Vector:
        """Coordinates of the champion: kappa 1, no feature."""
        free = np.zeros(self.basis.shape[1])
        free[0] = 1.0
        return free

    def coordinates(self, point: Vector) -> Vector:
        """Of the point of the space nearest to a point, shape (d,)."""
        free: Vector = np.linalg.pinv(self.basis) @ point
        return free

    def inside(self, free: Vector) -> Vector:
        """The coordinates, cut to the box and shrunk to the scale."""
        free = np.clip(free, self.lowest, self.highest)
        total = float(self.norm @ free)
        if total > self.scale:
            free = np.where(self.norm != 0, free * self.scale / total, free)
        return free

    def scaled(self, factor: float) -> Space:
        """The same directions with a larger box and scale; kappa's range stays."""
        grow = np.full(len(self.lowest), factor)
        grow[0] = 1.0
        return replace(
            self,
            lowest=self.lowest * grow,
            highest=self.highest * grow,
            scale=self.scale * factor,
        )

    def without(self, columns: Sequence[int]) -> Space:
        """The same where features at ``columns`` have no weight; points keep their length."""
        kept = np.setdiff1d(np.arange(len(self.lowest)), 1 + np.asarray(columns, np.int64))
        return replace(
            self,
            basis=self.basis[:, kept],
            lowest=self.lowest[kept],
            highest=self.highest[kept],
            norm=self.norm[kept],
        )
