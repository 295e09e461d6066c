"""Cells of MIPS over known clusters of items, with and without direct effects of the items."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from benchmarks.ope._cells import Estimator, Floats, Problem, Sums
from benchmarks.ope._plain_cells import PlainCell, World, rewards

CLUSTERS = 4


@dataclass(frozen=True)
class MIPSCell:
    """One world and log size; classes j, j + 4, j + 8 are a cluster.

    Attributes:
        items: K, at least 12.
        rows: n.
        rate: mean reward under the logger.
        distance: see ``PlainCell``.
        direct: mean rewards of an item are within this share of ``rate`` of a value common to its
            cluster; 0 where the cluster is all that matters.
    """

    items: int
    rows: int
    rate: float
    distance: str
    direct: float

    @property
    def key(self) -> str:
        """Name of the cell, unique in the grid."""
        return "mips/" + "/".join(f"{k}={v}" for k, v in asdict(self).items())

    @property
    def refitted(self) -> bool:
        """Nothing is fitted."""
        return False

    def world(self) -> World:
        """The world of the cell; it has no randomness of its own."""
        w = PlainCell(self.items, self.rows, self.rate, self.distance).world()
        classes = len(w.size)
        cluster = np.arange(classes) % CLUSTERS
        base = np.exp(0.4 * (np.stack([cluster, np.roll(cluster, 1)]) - 1.5))
        mean = rewards(base, self.rate, w.size * w.propensity)
        # The direct effect pulls every second member of a cluster up, the others down.
        effect = self.direct * self.rate * np.where(np.arange(classes) // CLUSTERS % 2, 1.0, -1.0)
        return World.of(w.size, w.propensity, w.target, mean + effect)

    def problem(self) -> Problem:
        """MIPS widened by its bound, and MIPS and SNMIPS as they are, which have none."""
        w = self.world()
        found = _estimators(w, self.direct * self.rate)
        return Problem(w.probability, self.rows, 1, w.truth, lambda _: found, found)


def _estimators(w: World, bound: float) -> dict[str, Estimator]:
    cluster = np.eye(CLUSTERS)[np.arange(len(w.size)) % CLUSTERS]  # (J, clusters)
    target, logged = (w.size * w.target) @ cluster, (w.size * w.propensity) @ cluster
    weight = (target / logged) @ cluster.T  # (S, J)
    here = weight[w.context]
    gap = (w.size * np.abs(w.target - w.propensity * weight)).sum(1)[w.context]
    rows, clicks = w.count.sum(1).astype(float), (here * w.clicks).sum(1)
    weights: Floats = (here * w.count).sum(1)
    sums = Sums(
        numerator=clicks,
        denominator=rows,
        reward=clicks,
        weight=weights,
        square=(here**2 * w.count).sum(1),
        largest=np.where(w.count > 0, here, 0.0).max(1),
        matched=((here > 0) * w.count).sum(1).astype(float),
        nonzero=((here > 0) * w.clicks).sum(1).astype(float),
        expected=(target**2 / logged).sum(1)[w.context],
    )
    low = replace(sums, numerator=clicks - gap * bound)
    high = replace(sums, numerator=clicks + gap * bound)
    return {
        "mips, bounded": Estimator(low, high),
        "mips": Estimator.plain(sums, covers_policy_value=False),
        "snmips": Estimator.plain(replace(sums, denominator=weights), covers_policy_value=False),
    }
