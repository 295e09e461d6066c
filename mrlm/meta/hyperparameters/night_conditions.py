"""What a night's log is like, as far as it decides which hyper-parameters suit it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.objectives import north_star
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.state.change_point import change_point

# The statistic is the same at any level.
_LEVEL = 0.999


@dataclass(frozen=True)
class Conditions:
    """Drift, density and size of the tune nights.

    Attributes:
        drift: T^2 of the newest nights' gradient against that of the nights before, over its
            degrees of freedom: about 1 where nothing drifts, and where there is nothing to compare.
        density: share of the decisions whose north star is known and not 0.
        size: decisions.
    """

    drift: float
    density: float
    size: int

    @classmethod
    def of(cls, problem: TuningProblem, settings: TuningSettings) -> Conditions:
        """Those of the rounds of a window.

        Raises:
            ValueError: too few users have known rewards.
        """
        change = change_point(TuningTask.of(problem, settings), _LEVEL)
        star = problem.names.index(north_star(problem.objectives).name)
        told = np.nan_to_num(problem.rewards[:, star]) != 0
        return cls(
            drift=change.statistic / change.directions if change else 1.0,
            density=float(told.mean()),
            size=len(told),
        )

    def coordinates(self) -> NDArray[np.float64]:
        """Logarithms, in which differences between nights and tenants are alike, shape (3,)."""
        return np.log([max(self.drift, 0.1), max(self.density, 1e-4), self.size])
