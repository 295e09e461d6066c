"""Variances of what rows of a group have in common, by the products of their residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Vector = NDArray[np.float64]
# Rows of a group that are paired with one another, and pairs in all: bounds of time and memory.
_ROWS, _PAIRS = 64, 1 << 18


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
        """Of rows by the code of each one's group, shape (n,); of large groups the first rows."""
        order = np.argsort(group, kind="stable")
        ends = np.flatnonzero(np.diff(group[order])) + 1
        first, second, count = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
        for rows in np.split(order, ends):
            one, other = np.triu_indices(min(len(rows), _ROWS), 1)
            first.append(rows[one])
            second.append(rows[other])
            count += len(one)
            if count >= _PAIRS:
                break
        return cls(np.concatenate(first), np.concatenate(second))

    def where(self, kept: NDArray[np.bool_]) -> ResidualProducts:
        """The pairs at which ``kept`` is true, shape (P,)."""
        return ResidualProducts(self.first[kept], self.second[kept])

    def variances(
        self, residual: Vector, slope: Vector, noise: Vector, kernels: Sequence[Vector]
    ) -> Vector:
        """The variance that each kernel is multiplied by, 0 or more, shape (kernels,).

        Least squares of the products, each weighed by its own spread; 0 without any pair.

        Args:
            residual: of each row, float64, shape (n,).
            slope: how each row's prediction moves with its output, shape (n,).
            noise: variance of each row's outcome, above 0, shape (n,).
            kernels: of each pair, the covariance of outputs at variance 1, each of shape (P,).
        """
        if len(self.first) == 0:
            return np.zeros(len(kernels))
        a, b = self.first, self.second
        spread = np.sqrt(noise[a] * noise[b])
        moved = slope[a] * slope[b] / spread
        design = np.stack([k * moved for k in kernels], axis=1)
        wanted = residual[a] * residual[b] / spread
        # Of the normal equations, so that many pairs cost no more than their sums.
        root = np.linalg.cholesky(design.T @ design + 1e-12 * np.eye(len(kernels)))
        return np.asarray(nnls(root.T, np.linalg.solve(root, design.T @ wanted))[0])
