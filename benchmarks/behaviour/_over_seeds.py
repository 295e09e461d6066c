"""Means over the seeds of a world whose users stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row
from mrlm.metrics.clustered import Clustered


@dataclass(frozen=True)
class OfSeed:
    """A figure of one seed, and the names of the clusters that its influence is of."""

    users: NDArray[np.str_]
    figure: Clustered

    def __sub__(self, other: OfSeed) -> OfSeed:
        """The paired difference, of the same users."""
        return OfSeed(self.users, self.figure - other.figure)


def averaged(found: Sequence[OfSeed]) -> Clustered:
    """Mean over the seeds; a user's influence is summed over them. NaN of no seed."""
    users = sorted({u for of in found for u in of.users.tolist()})
    place = {u: i for i, u in enumerate(users)}
    influence = np.zeros(len(users))
    for of in found:
        influence[[place[u] for u in of.users.tolist()]] += of.figure.influence / len(found)
    return Clustered(float(np.mean([of.figure.value for of in found] or [np.nan])), influence)


def difference_row(measure: str, difference: Clustered, more: str = "") -> Row:
    """A paired difference with its interval, without a bar."""
    low, high = difference.interval()
    note = f"95 % interval clustered by user [{low:+.4f}, {high:+.4f}]{more}"
    return Row(measure, difference.value, note=note)
