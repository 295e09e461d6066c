"""Standardised features, so that a weight means the same whatever the units of a head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

CLIP = 4.0


@dataclass(frozen=True)
class Standardiser:
    """clip((feature - mean) / scale, -4, 4), by column.

    Attributes:
        columns: f names.
        mean: f means.
        scale: f standard deviations, all positive.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, columns: tuple[str, ...], features: NDArray[np.float64]) -> Standardiser:
        """Mean and standard deviation over all candidates, features of shape (N, f).

        A column that never varies gets scale 1 and so becomes 0.

        Raises:
            ValueError: there are no candidates, a value is not finite, or names and columns differ.
        """
        if features.shape != (len(features), len(columns)) or len(features) == 0:
            raise ValueError(
                f"features must have {len(columns)} columns and at least one row; "
                f"got shape {features.shape}"
            )
        bad = ~np.isfinite(features)
        if bad.any():
            names = [c for j, c in enumerate(columns) if bad[:, j].any()]
            raise ValueError(f"features {names} have values that are not finite")
        mean, scale = features.mean(0), features.std(0)
        # Rounding leaves a constant column a deviation of the order of its last digit.
        scale = np.where(scale > 1e-12 * np.maximum(np.abs(mean), 1.0), scale, 1.0)
        return cls(columns, tuple(mean.tolist()), tuple(scale.tolist()))

    def apply(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardised features, shape (N, f)."""
        mean, scale = self._arrays
        z = np.asarray(features, np.float64) - mean
        z /= scale
        # A request's few rows: np.clip costs it more to call than to compute.
        np.maximum(z, -CLIP, out=z)
        np.minimum(z, CLIP, out=z)
        return z

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.mean), np.array(self.scale)

    def select(self, columns: tuple[str, ...]) -> Standardiser:
        """The same for some of the columns, in the order given.

        Raises:
            ValueError: there is no such column.
        """
        places = [self.columns.index(c) for c in columns]
        return Standardiser(
            columns, tuple(self.mean[j] for j in places), tuple(self.scale[j] for j in places)
        )
