"""Reptile over linear last layers: the start from which few gradient steps go far.

Nichol, Achiam and Schulman, "On first-order meta-learning algorithms", 2018. Rate and number of the
inner steps are those that predict other rows of the tasks best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_RATES, _STEPS = (0.03, 0.1, 0.3), (1, 3, 10, 30, 100)
_TASKS, _TOWARDS = 60, 0.1
_JUDGED = 3


@dataclass(frozen=True)
class Task:
    """Rows of one task: features that all tasks share, those of its own, and targets."""

    shared: Floats
    own: Floats
    target: Floats

    def take(self, rows: NDArray[np.int64]) -> Task:
        """Some rows."""
        return Task(self.shared[rows], self.own[rows], self.target[rows])

    @property
    def features(self) -> Floats:
        """Shared, then own."""
        return np.column_stack([self.shared, self.own])


@dataclass(frozen=True)
class Reptile:
    """A start of the shared coefficients, own ones start at 0; how far to go from there."""

    start: Floats
    rate: float
    steps: int

    def adapted(self, rows: Task) -> Floats:
        """Coefficients after the inner steps on a task's rows, shared ones first."""
        features = rows.features
        at = np.append(self.start, np.zeros(rows.own.shape[1]))
        for _ in range(self.steps):
            at = at + self.rate / len(features) * (features.T @ (rows.target - features @ at))
        return at


def reptile(tasks: Sequence[Task], rows: int, seed: int) -> Reptile:
    """Learnt on tasks for adaptation from so many rows."""
    rng = np.random.default_rng([seed, rows])
    best: tuple[float, Reptile] | None = None
    for rate in _RATES:
        for steps in _STEPS:
            found = Reptile(np.zeros(tasks[0].shared.shape[1]), rate, steps)
            for _ in range(_TASKS):
                task = tasks[int(rng.integers(len(tasks)))]
                few = task.take(rng.permutation(len(task.target))[:rows])
                moved = found.adapted(few)[: len(found.start)] - found.start
                found = Reptile(found.start + _TOWARDS * moved, rate, steps)
            error = float(np.mean([_error(found, t, rows, rng) for t in [*tasks] * _JUDGED]))
            if best is None or error < best[0]:
                best = (error, found)
    assert best is not None
    return best[1]


def _error(found: Reptile, task: Task, rows: int, rng: np.random.Generator) -> float:
    order = rng.permutation(len(task.target))
    others = task.take(order[rows:])
    left = others.target - others.features @ found.adapted(task.take(order[:rows]))
    return float(left @ left / max(len(left), 1))
