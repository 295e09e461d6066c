"""Whether the newest nights want other weights than the nights before them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, fdtri

from mrlm.meta.search.tuning_task import TuningTask

# One night, and two: a change that one night does not prove is looked for once more. Two nights in
# a row are more alike than others, so single nights say too little of how far two of them may be
# from the rest: theirs is the smaller share of the error.
_SHARE_OF_ERROR = {1: 0.85, 2: 0.15}
Ages = NDArray[np.int64]


@dataclass(frozen=True)
class ChangePoint:
    """The test of one night.

    Attributes:
        nights: newest nights with a known reward that were held against the others; of those tried
            the ones with the clearest difference.
        age: of the oldest of them.
        statistic: T^2 of the difference of the mean gradients.
        directions: its degrees of freedom.
        spread: how much more the nights before differ among themselves than by chance, at least 1.
        needed: what T^2 has to exceed.
    """

    nights: int
    age: int
    statistic: float
    directions: int
    spread: float
    needed: float

    @property
    def found(self) -> bool:
        """Whether the difference is significant."""
        return self.statistic > self.needed


def change_point(task: TuningTask, level: float) -> ChangePoint | None:
    """Tests whether the gradient of the lift at the champion has changed.

    The mean gradient of the newest night, and of the newest two, less that of the nights before is
    held against its covariance, clustered by user: T^2 is chi-square where nothing has changed. The
    gradient, unlike the lift, says in which direction every weight should move, so that a change in
    what users want shows even where the champion's value stays.

    Nights differ by more than chance where weeks have a rhythm or tastes drift. So each of the
    nights before is held against the rest of them in the same way, and where their mean T^2 is
    above its expectation, T^2 over that ratio is held against an F distribution (a dispersion
    estimated as in quasi-likelihood: McCullagh and Nelder, Generalized linear models, 1989, 9.2).

    Args:
        task: of a window of nights.
        level: chance of no alarm on a night like the ones before, for both tests together.

    Returns:
        The test with the larger statistic for what it needs; None where there are no older nights
        with a known reward or no direction matters.
    """
    ages = np.unique(task.problem.age[task.known.used])
    tests = [_test(task, ages, nights, level) for nights in _SHARE_OF_ERROR if nights < len(ages)]
    found = [test for test in tests if test is not None]
    return max(found, key=lambda c: c.statistic / c.needed, default=None)


def _test(task: TuningTask, ages: Ages, nights: int, level: float) -> ChangePoint | None:
    """The newest nights against the others, and those among themselves."""
    age, before = task.problem.age, ages[nights:]
    newest = age <= ages[nights - 1]
    pairs = [(newest, ~newest)]
    if len(before) > 1:
        pairs += [(age == one, ~newest & (age != one)) for one in before]
    (statistic, rank), *others = task.known.differences(
        task.policy.champion_point, task.space.basis, pairs
    )
    if not rank:
        return None
    error = (1 - level) * _SHARE_OF_ERROR[nights]
    spread = float(np.mean([t for t, _ in others])) / rank if others else 1.0
    needed = float(chdtri(rank, error))
    if spread > 1:
        needed = max(
            needed, spread * rank * float(fdtri(rank, (len(before) - 1) * rank, 1 - error))
        )
    return ChangePoint(nights, int(ages[nights - 1]), statistic, rank, max(spread, 1.0), needed)
