"""A grid of weights, and the estimates of all its points at once."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.strategies.sharpened import HALVINGS, sharpest

# With eight features the grid in steps of a quarter, 330 points, and no larger one with more.
_MOST = 400
_SCALES = 4


def simplex_grid(features: int) -> NDArray[np.float64]:
    """Weights that sum to 1 in the finest steps with at most 400 points, shape (points, f)."""
    steps = 1
    while steps < 10 and comb(steps + features, features - 1) <= _MOST:
        steps += 1
    bars = np.array(list(combinations(range(steps + features - 1), features - 1)), np.int64)
    edges = np.column_stack(
        [
            np.full(len(bars), -1),
            bars.reshape(len(bars), -1),
            np.full(len(bars), steps + features - 1),
        ]
    )
    return np.asarray((np.diff(edges, axis=1) - 1) / steps, np.float64)


def best_on_grid(task: TuningTask, z: float) -> tuple[Vector, float]:
    """The permitted point kappa 0 on the grid with the largest lower bound; the champion's with 0.

    All directions are looked at with the sum of theta at ``tuning.max_scale``, and the best of them
    at the sharpest scale that the limits permit, and at halves of it.

    Args:
        task: whose target's lift is bounded.
        z: standard errors in the bound.
    """
    champion = task.policy.champion_point
    directions = np.insert(simplex_grid(len(task.problem.columns)), 0, 0.0, axis=1)
    bounds = _bounds(task, directions * task.space.scale, z)
    point, _ = sharpest(task, directions[int(np.argmax(bounds))], HALVINGS)
    if point is None:
        return champion, 0.0
    points = point * 2.0 ** -np.arange(_SCALES)[:, None]
    bounds = _bounds(task, points, z)
    best = int(np.argmax(bounds))
    if bounds[best] <= 0 or not task.permits(points[best]):
        return champion, 0.0
    return points[best], float(bounds[best])


def _bounds(task: TuningTask, points: Vector, z: float) -> Vector:
    """Lower bound of the target's lift at each point, shape (points,)."""
    every = task.policy.probabilities_at(points)
    return np.array([task.target.of_probabilities(p, z).lower for p in every])
