"""The weights of each segment: the same search, with what the segment's coefficients say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.coefficient_lift import CoefficientLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.diversity_floor import DiversityFloor
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.strategies.pessimistic_bound import searched

# Standard errors of caution, as among points that are proven.
CAUTION_Z = 1.0
# Decisions on which a segment's policies are compared; a smaller segment borrows some.
_ENOUGH = 1000


def segment_point(
    problem: TuningProblem,
    settings: TuningSettings,
    rounds: NDArray[np.int64],
    coefficients: tuple[Vector, Vector],
    overall: Vector,
    seed: int = 0,
) -> Vector:
    """(kappa, theta) with the largest lower bound of a segment's lift, shape (1 + f,).

    One standard error below, by the segment's coefficients. Where no permitted point has a bound
    above 0 and above that of the point of all segments, the segment keeps the latter.

    Args:
        problem: rounds of the tune nights, of all segments.
        settings: caps and levels.
        rounds: places of the segment's own; it may have none.
        coefficients: mean (f,) and covariance (f, f) of the segment's coefficients.
        overall: the point of all segments together, where the search starts too.
        seed: of the decisions that are drawn.
    """
    every = len(problem.propensity)
    part = replace(problem.rounds(_compared(every, rounds, seed)), judged=None)
    # What all decisions together are to keep, in proportion.
    least = max(round(settings.least_effective_rows * len(part.propensity) / every), 1)
    shared = settings.model_copy(
        update={
            "least_effective_rows": least,
            "weights": None,
            "diversity_floors": _as_diverse(part, settings, overall),
        }
    )
    task = TuningTask.of(part, shared)
    target = CoefficientLift(part, task.policy, task.known, *coefficients)
    step = searched(replace(task, target=target), CAUTION_Z, overall, seed)
    common = target.lift(overall, CAUTION_Z).lower
    return step.point if step.bound > max(common, 0.0) else overall


def _as_diverse(part: TuningProblem, settings: TuningSettings, overall: Vector) -> dict[str, float]:
    """Floors of effective numbers: of all decisions, or what the overall point has in this part."""
    if not settings.diversity_floors:
        return {}
    policy = TunedSoftmax(part)
    served = policy.probabilities(overall)
    return {
        kind: min(least, DiversityFloor(part, policy, kind, least).of_probabilities(served))
        for kind, least in settings.diversity_floors.items()
    }


def _compared(n: int, own: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A thousand of the segment's rounds, and of the others' where it has fewer."""
    rng = np.random.default_rng(seed)
    if len(own) >= _ENOUGH:
        return np.sort(rng.choice(own, _ENOUGH, replace=False))
    others = np.setdiff1d(np.arange(n), own)
    more = rng.choice(others, min(_ENOUGH - len(own), len(others)), replace=False)
    return np.sort(np.concatenate([own, more]))
