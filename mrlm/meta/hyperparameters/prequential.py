"""Settings scored on nights that they were not tuned on: each by what was tuned before it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.users import group
from mrlm.meta.hyperparameters.hyperparameter_record import Trial
from mrlm.meta.hyperparameters.hyperparameter_space import HyperparameterSpace, Setting
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune


@dataclass(frozen=True)
class PrequentialScores:
    """Scores of settings on the nights of a window (Dawid, JRSS A 1984).

    A setting is tuned with on all nights before one, and what comes of it is valued on that one:
    the paired doubly robust lift over the champion, with the importance weights of ``settings``
    whichever clip is tried.

    Attributes:
        problem: rounds of the tune nights of one regime, undecayed.
        settings: of the night.
        space: of what is tried.
        seed: of the searches.
    """

    problem: TuningProblem
    settings: TuningSettings
    space: HyperparameterSpace
    seed: int
    _points: dict[tuple[Setting, int], Vector] = field(default_factory=dict)
    _lifts: dict[int, PairedLift] = field(default_factory=dict)

    @property
    def ages(self) -> list[int]:
        """Nights that can be scored, the newest first: they and nights before them have rewards."""
        ages = np.unique(self.problem.age).tolist()
        return [a for a in ages[:-1] if self._known(a, a) and self._known(a + 1, ages[-1])]

    def trial(self, setting: Setting, typed: Setting, ages: list[int]) -> Trial:
        """A setting less the typed one, on the same decisions of these nights."""
        difference = np.concatenate(
            [self._rounds(setting, age) - self._rounds(typed, age) for age in ages]
        )
        users = np.concatenate([self.problem.cluster[self._usable(age)] for age in ages])
        value, error = _clustered_mean(difference, users)
        return Trial(self.space.named(setting), value, error, len(ages))

    def point(self, setting: Setting, age: int) -> Vector:
        """(kappa, theta) that a setting tunes on all nights before one, shape (1 + f,)."""
        if (setting, age) not in self._points:
            tuned = self.space.applied(self.settings, setting)
            before = self.problem.rounds(np.flatnonzero(self.problem.age > age))
            age_then = before.age - before.age.min()
            before = replace(before, age=age_then, weight_clip=tuned.weight_clip)
            result = tune(before.decayed(tuned.half_life), tuned, None, self.seed)
            self._points[setting, age] = result.point
        return self._points[setting, age]

    def _rounds(self, setting: Setting, age: int) -> Vector:
        """Each usable decision's lift over the champion on a night, by what was tuned before."""
        return self._lift(age).rounds(self.point(setting, age))

    def _lift(self, age: int) -> PairedLift:
        """Of the north star on the usable decisions of a night."""
        if age not in self._lifts:
            night = self.problem.rounds(self._usable(age))
            star = night.names.index(north_star(night.objectives).name)
            rewards, q = night.rewards[:, star], night.q[:, star]
            self._lifts[age] = PairedLift(night, TunedSoftmax(night), rewards, q, "score")
        return self._lifts[age]

    def _usable(self, age: int) -> NDArray[np.int64]:
        """Places of a night's decisions with a known north star."""
        star = self.problem.names.index(north_star(self.problem.objectives).name)
        known = ~np.isnan(self.problem.rewards[:, star])
        return np.flatnonzero(known & (self.problem.age == age))

    def _known(self, newest: int, oldest: int) -> bool:
        """Whether nights tell every objective that a search needs, of two users at least."""
        inside = (self.problem.age >= newest) & (self.problem.age <= oldest)
        needed = [o.role in ("north_star", "guardrail") for o in self.problem.objectives]
        known = ~np.isnan(self.problem.rewards[:, needed]) & inside[:, None]
        return all(len(np.unique(self.problem.cluster[column])) > 1 for column in known.T)


def _clustered_mean(values: Vector, users: NDArray[np.generic]) -> tuple[float, float]:
    """Mean over decisions, and its standard error, clustered by user with G / (G - 1)."""
    names, code = group(users)
    mean, groups = float(values.mean()), len(names)
    influence = np.bincount(code, weights=values - mean) / len(values)
    return mean, float(np.sqrt(groups / (groups - 1) * (influence @ influence)))
