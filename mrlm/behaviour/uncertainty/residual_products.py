"""Variances of what rows of a group have in common, by the products of their residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Vector = NDArray[np.float64]
# Rows of a group that are paired, and with how many of those after it each: what a group tells of
# what it has in common is soon told, and pairs of all its rows would let few large groups decide.
_ROWS, _NEXT = 32, 8


@dataclass(frozen=True)
class ResidualProducts:
    """P pairs of different rows of one group, by their places among all rows.

    Two outcomes share no noise. So the mean product of two residuals is the covariance of what
    was predicted wrongly, and nothing else: no noise has to be known and taken off.

    Attributes:
        first, second: int64, shape (P,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @classmethod
    def of(cls, group: NDArray[np.int64]) -> ResidualProducts:
        """Of rows by the code of each one's group, shape (n,); of large groups rows from all over.

        At most 256 pairs a group, all of a group of up to nine rows.
        """
        order = np.argsort(group, kind="stable")
        _, start, size = np.unique(group[order], return_index=True, return_counts=True)
        place = np.arange(len(order)) - np.repeat(start, size)
        order = order[place % np.repeat(-(-size // _ROWS), size) == 0]
        code, first, second = group[order], [], []
        for step in range(1, _NEXT + 1):
            at = np.flatnonzero(code[step:] == code[:-step])
            first.append(order[at])
            second.append(order[at + step])
        return cls(np.concatenate(first), np.concatenate(second))

    def where(self, kept: NDArray[np.bool_]) -> ResidualProducts:
        """The pairs at which ``kept`` is true, shape (P,)."""
        return ResidualProducts(self.first[kept], self.second[kept])

    def variances(
        self, residual: Vector, slope: Vector, noise: Vector, kernels: Sequence[Vector]
    ) -> Vector:
        """The variance that each kernel is multiplied by, 0 or more, shape (kernels,).

        Least squares of the products, each weighed by its own spread; NaN without any pair, which
        tells nothing of them.

        Args:
            residual: of each row, float64, shape (n,).
            slope: how each row's prediction moves with its output, shape (n,).
            noise: variance of each row's outcome, above 0, shape (n,).
            kernels: of each pair, the covariance of outputs at variance 1, each of shape (P,).
        """
        if len(self.first) == 0:
            return np.full(len(kernels), np.nan)
        design, wanted = self._weighed(residual, slope, noise, kernels)
        # The triangle has the same sums of squares, also where kernels are alike.
        rows = np.column_stack([design, wanted])
        triangle = np.asarray(np.linalg.qr(rows, mode="r"), np.float64)
        return np.asarray(nnls(triangle[:, :-1], triangle[:, -1])[0])

    def error(
        self,
        found: Vector,
        independent: NDArray[np.int64],
        residual: Vector,
        slope: Vector,
        noise: Vector,
        kernels: Sequence[Vector],
    ) -> Vector:
        """Covariance of the error of ``variances``, shape (kernels, kernels); NaN without any pair.

        Of least squares whose rows are independent between groups alone (Liang and Zeger,
        "Longitudinal data analysis using generalized linear models", Biometrika 1986), over the
        share of groups that is left when their mean is known. One group fits itself, so that
        nothing is left: it tells as much as one square of a normal variable tells of its variance.

        Args:
            found: what ``variances`` gave for the other arguments, shape (kernels,).
            independent: the code of each pair's group, shape (P,): of a user over all nights.
            residual: as there.
            slope: as there.
            noise: as there.
            kernels: as there.
        """
        if len(self.first) == 0:
            return np.full((len(kernels), len(kernels)), np.nan)
        design, wanted = self._weighed(residual, slope, noise, kernels)
        off = design * (wanted - design @ found)[:, None]
        names, group = np.unique(independent, return_inverse=True)
        if len(names) == 1:
            return 2.0 * np.outer(found, found)
        sums = np.stack([np.bincount(group, column) for column in off.T], axis=1)
        bread = np.linalg.pinv(design.T @ design)
        return np.asarray(bread @ (sums.T @ sums) @ bread) * (len(names) / (len(names) - 1))

    def _weighed(
        self, residual: Vector, slope: Vector, noise: Vector, kernels: Sequence[Vector]
    ) -> tuple[Vector, Vector]:
        """What least squares read, (P, kernels) and (P,), each pair weighed by its own spread."""
        a, b = self.first, self.second
        spread = np.sqrt(noise[a] * noise[b])
        moved = slope[a] * slope[b] / spread
        return np.stack([k * moved for k in kernels], axis=1), residual[a] * residual[b] / spread
