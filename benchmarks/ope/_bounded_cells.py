"""Cells of clipped and shrunken estimates, widened by the bound on what they leave out."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.ope._cells import Estimator, Problem, Sums
from benchmarks.ope._plain_cells import PlainCell, World
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic
from mrlm.ope.estimators.shrinking import ShrinkingEstimator

FAMILY: tuple[ShrinkingEstimator, ...] = (ClippedIPS(10.0), DROptimistic(100.0))


@dataclass(frozen=True)
class BoundedCell:
    """One world of ``PlainCell`` and log size; rewards are known to be between 0 and 1.

    Attributes:
        items: K.
        rows: n.
        rate: mean reward under the logger.
        distance: see ``PlainCell``.
    """

    items: int
    rows: int
    rate: float
    distance: str

    @property
    def key(self) -> str:
        """Name of the cell, unique in the grid."""
        return "bounded/" + "/".join(f"{k}={v}" for k, v in asdict(self).items())

    @property
    def refitted(self) -> bool:
        """Nothing is fitted."""
        return False

    def problem(self) -> Problem:
        """The world, and the lowest and highest values of ``mrlm.ope.shrinkage_bounds``."""
        w = PlainCell(self.items, self.rows, self.rate, self.distance).world()
        found = {f"{e.name}, bounded": estimator(w, e) for e in FAMILY}
        return Problem(w.probability, self.rows, 1, w.truth, lambda _: found, found)


def estimator(w: World, member: ShrinkingEstimator) -> Estimator:
    """The sums of a member over users who come once, every candidate's propensity known."""
    q = w.q if member.needs_q else np.zeros_like(w.q)
    kept = member.weights(w.target / w.propensity)
    left = w.size * (w.target - w.propensity * kept)  # (S, J), of a whole class
    chance = w.size * w.propensity
    mass = left.sum(1)
    low, high = ((left * (end - q)).sum(1) for end in (0.0, 1.0))
    square = (chance * kept**2).sum(1) - (chance * kept).sum(1) ** 2 + 1.0
    direct = (w.size * w.target * q).sum(1)
    mine, own = kept[w.context], w.context
    clicks, rows = (mine * w.clicks).sum(1), w.count.sum(1).astype(float)
    score = direct[own] + clicks - (mine * w.count * q[own]).sum(1)
    weight = (mine * w.count).sum(1) + mass[own]

    def sums(move: np.ndarray) -> Sums:
        return Sums(
            numerator=score + move[own],
            denominator=rows,
            reward=clicks,
            weight=weight,
            square=weight**2,
            largest=weight,
            matched=(weight > 0).astype(float),
            nonzero=((mine > 0) * w.clicks).sum(1).astype(float),
            expected=square[own],
        )

    return Estimator(sums(low), sums(high))
