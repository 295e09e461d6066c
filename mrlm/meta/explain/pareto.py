"""Trade-offs between the north star and every other objective, as a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.objectives import north_star
from mrlm.meta.problem.contract import BoundedLift
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.problem.tuning_problem import TuningProblem

POINTS = 21


@dataclass(frozen=True)
class ParetoPoint:
    """One policy on the way from the north star to another objective.

    Attributes:
        objective: the other objective.
        weight: its weight, from 0 to 1; the north star has the rest.
        lifts: over the champion on the tune nights, by objective, each with its standard error.
        kl: mean KL to the champion, nats.
        dominated: whether another point of the same pair is at least as good in both objectives
            and better in one.
    """

    objective: str
    weight: float
    lifts: dict[str, BoundedLift]
    kl: float
    dominated: bool


def pareto(
    problem: TuningProblem, kappa: float, scale: float, points: int = POINTS
) -> list[ParetoPoint]:
    """Points along the weights from the north star alone to each objective that has a head.

    The policy is the tuned form with this kappa and sum of theta; values are doubly robust on the
    tune nights, z is 0: they describe a trade-off and prove nothing.

    Raises:
        ValueError: no feature is the head of the north star.
    """
    star = north_star(problem.objectives).name
    if star not in problem.serves:
        raise ValueError(
            f"the Pareto table needs a feature that serves the north star {star!r}; "
            f"features serve {sorted({s for s in problem.serves if s})}"
        )
    policy = TunedSoftmax(problem)
    lifts = [
        PairedLift(problem, policy, problem.rewards[:, j], problem.q[:, j], name)
        for j, name in enumerate(problem.names)
    ]
    table: list[ParetoPoint] = []
    for other in problem.names:
        if other == star or other not in problem.serves:
            continue
        rows = []
        for weight in np.linspace(0.0, 1.0, points):
            direction = (1 - weight) * _head(problem, star) + weight * _head(problem, other)
            point = np.concatenate([[kappa], scale * direction])
            rows.append(
                (
                    float(weight),
                    {lift.name: lift.lift(point, 0.0) for lift in lifts},
                    policy.divergence(point)[0],
                )
            )
        pair = np.array([[r[1][star].value, r[1][other].value] for r in rows])
        beaten = dominated(pair)
        table += [
            ParetoPoint(other, w, found, kl, bool(b))
            for (w, found, kl), b in zip(rows, beaten, strict=True)
        ]
    return table


def dominated(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows of (k, m) that another row equals or exceeds everywhere and exceeds somewhere."""
    at_least = np.logical_and.reduce(values[None, :, :] >= values[:, None, :], axis=2)
    above = np.logical_or.reduce(values[None, :, :] > values[:, None, :], axis=2)
    return np.asarray(np.logical_or.reduce(at_least & above, axis=1))


def _head(problem: TuningProblem, objective: str) -> NDArray[np.float64]:
    head = np.array([float(s == objective) for s in problem.serves])
    return np.asarray(head / head.sum())
