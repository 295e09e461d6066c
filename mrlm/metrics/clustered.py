"""Figures of rows with errors that allow for several rows a cluster, as for a user's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clustered:
    """A figure, or a difference of two, and what each cluster adds to its error.

    Attributes:
        value: the figure, or the difference.
        influence: float64, one a cluster; they sum to 0, and the root of the sum of their squares
            is the standard error, but for a factor of clusters / (clusters - 1).
    """

    value: float
    influence: Floats

    @property
    def standard_error(self) -> float:
        """Of ``value``; NaN with fewer than two clusters."""
        many = len(self.influence)
        if many < 2:
            return float("nan")
        return float(np.sqrt(self.influence @ self.influence * many / (many - 1)))

    def __sub__(self, other: Clustered) -> Clustered:
        """The paired difference of two figures over the same rows."""
        return Clustered(self.value - other.value, self.influence - other.influence)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided, by Student's t with clusters - 1 degrees of freedom."""
        reach = float(stdtrit(max(len(self.influence) - 1, 1), 0.5 + level / 2))
        reach *= self.standard_error
        return self.value - reach, self.value + reach


def clustered_mean(values: Floats, cluster: NDArray[np.int64]) -> Clustered:
    """The mean of rows, with its error clustered.

    Source: Liang and Zeger, Longitudinal data analysis using generalized linear models, 1986.

    Args:
        values: float64, shape (n,), finite.
        cluster: from 0, shape (n,); every number to the highest is there.

    Raises:
        ValueError: there is no row.
    """
    if len(values) == 0:
        raise ValueError("a mean needs at least one row")
    value = float(values.mean())
    own = np.bincount(cluster, weights=(values - value) / len(values))
    return Clustered(value, np.asarray(own, np.float64))
