"""Histogram of importance weights with fixed edges, so that parts of a log add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A quarter of a decade a bin, from 1e-4 to 1e6; the outer bins hold all beyond them.
EDGES: NDArray[np.float64] = 10.0 ** (np.arange(-16, 25) / 4)


@dataclass(frozen=True)
class WeightHistogram:
    """Rounds by importance weight.

    Attributes:
        zero: rounds of weight 0.
        counts: int64, shape (len(EDGES) - 1,), the others.
    """

    zero: int
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, weight: NDArray[np.float64]) -> WeightHistogram:
        """Of weights of shape (n,), none negative."""
        positive = weight[weight > 0]
        inside = np.clip(positive, EDGES[0], np.nextafter(EDGES[-1], 0))
        counts = np.histogram(inside, EDGES)[0].astype(np.int64)
        return cls(len(weight) - len(positive), counts)

    def merge(self, other: WeightHistogram) -> WeightHistogram:
        """Of both together."""
        return WeightHistogram(self.zero + other.zero, self.counts + other.counts)

    def to_json(self) -> dict[str, object]:
        """``zero``, ``edges`` and ``counts``, without the empty bins at both ends."""
        full = np.flatnonzero(self.counts)
        if len(full) == 0:
            return {"zero": self.zero, "edges": [], "counts": []}
        low, high = int(full[0]), int(full[-1]) + 1
        return {
            "zero": self.zero,
            "edges": EDGES[low : high + 1].tolist(),
            "counts": self.counts[low:high].tolist(),
        }
