"""Whether the newest nights want other weights than the nights before them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from mrlm.meta.tuning_task import TuningTask

# One night, and two: a change that one night does not prove is looked for once more.
_NEWEST = (1, 2)


@dataclass(frozen=True)
class ChangePoint:
    """The test of one night.

    Attributes:
        nights: newest nights with a known reward that were held against the others; of those tried
            the ones with the clearest difference.
        age: of the oldest of them.
        statistic: T^2 of the difference of the mean gradients.
        directions: its degrees of freedom.
        needed: what T^2 has to exceed.
    """

    nights: int
    age: int
    statistic: float
    directions: int
    needed: float

    @property
    def found(self) -> bool:
        """Whether the difference is significant."""
        return self.statistic > self.needed


def change_point(task: TuningTask, level: float) -> ChangePoint | None:
    """Tests whether the gradient of the lift at the champion has changed.

    The mean gradient of the newest night, and of the newest two, less that of the nights before is
    held against its covariance, clustered by user: chi-square where nothing has changed. The
    gradient, unlike the lift, says in which direction every weight should move, so that a change in
    what users want shows even where the champion's value stays.

    Args:
        task: of a window of nights.
        level: chance of no alarm on a night without a change, for both tests together.

    Returns:
        The test with the larger statistic for what it needs; None where there are no older nights
        with a known reward or no direction matters.
    """
    ages = np.unique(task.problem.age[task.target.used])
    found = []
    for nights in _NEWEST:
        if len(ages) <= nights:
            continue
        age = int(ages[nights - 1])
        newest = task.problem.age <= age
        point, basis = task.policy.champion_point, task.space.basis
        statistic, rank = task.target.difference(point, basis, newest)
        if rank:
            needed = float(chdtri(rank, (1 - level) / len(_NEWEST)))
            found.append(ChangePoint(nights, age, statistic, rank, needed))
    return max(found, key=lambda c: c.statistic / c.needed, default=None)
