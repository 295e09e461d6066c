"""The lift of every objective at a point, and bounds that hold for all points at once."""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.special import chdtri

from mrlm.meta.problem.contract import BoundedLift
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem

CERTIFIED = 0.95


def objective_lifts(problem: TuningProblem, policy: TunedSoftmax) -> list[PairedLift]:
    """The paired lift of each objective, in the order of the reward vector.

    Raises:
        ValueError: fewer than two users have a known reward of one of them.
    """
    return [
        PairedLift(problem, policy, problem.rewards[:, j], problem.q[:, j], name)
        for j, name in enumerate(problem.names)
    ]


def lifts_at(problem: TuningProblem, point: Vector, z: float) -> dict[str, BoundedLift]:
    """Lift over the champion at a point, by objective, each lowered by z standard errors.

    Args:
        problem: rounds of the tune nights.
        point: (kappa, theta), shape (1 + f,).
        z: standard errors in the lower bounds.

    Raises:
        ValueError: see ``objective_lifts``.
    """
    policy = TunedSoftmax(problem)
    return {lift.name: lift.lift(point, z) for lift in objective_lifts(problem, policy)}


def certified_z(coordinates: int, objectives: int, level: float = CERTIFIED) -> float:
    """Standard errors by which bounds hold for every point and every objective together.

    Scheffe's bound: of one objective the lower bounds of all points hold at once where z^2 is a
    point of chi-square with as many degrees of freedom as there are coordinates (Scheffe, "A method
    for judging all contrasts in the analysis of variance", Biometrika 1953); the error is divided
    among the objectives (Bonferroni). Exact for lifts that are linear in the coordinates, and so to
    first order.

    Args:
        coordinates: of a point, 1 + f.
        objectives: that are read together.
        level: of all bounds together, in (0, 1).
    """
    return math.sqrt(float(chdtri(coordinates, (1 - level) / objectives)))


def lowered(lift: BoundedLift, z: float) -> BoundedLift:
    """The same lift with a lower bound of z standard errors."""
    return replace(lift, lower=lift.value - z * lift.standard_error)
