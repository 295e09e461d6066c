"""Every gradient that the meta-update uses, against finite differences.

Central differences of fourth order at three points of a problem of 400 decisions, those of the
older night weighed less: the lower bound of the lift, clipped and not, and with the newer night's
north star still open, and by coefficients; the divergence; every limit.
At the clip the bound has a kink, so the clipped row takes a step that reaches no weight's clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.meta._worlds.night import problem_of
from benchmarks.meta._worlds.world import static_world
from benchmarks.rows import Row
from mrlm.meta.problem.coefficient_lift import CoefficientLift
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.power_tuned_lift import power_tuned
from mrlm.meta.problem.tuned_softmax import Slope, TunedSoftmax
from mrlm.meta.search.step_limits import (
    DivergenceCap,
    EffectiveSampleSize,
    EntropyFloor,
    guardrail_floor,
    kept_bound,
)

Floats = NDArray[np.float64]
BAR = 1e-6
_ROWS, _NIGHTS = 200, 2


def run(quick: bool) -> list[Row]:
    """Largest relative error of each gradient."""
    world = static_world(0, 5, 4.0)
    rng = np.random.default_rng(0)
    logs = [world.log(_ROWS, None, night, rng) for night in range(_NIGHTS)]
    problem = problem_of(world, logs, rng.standard_normal(25) * 0.3).decayed(2.0)
    points = [np.array([k, *rng.dirichlet(np.ones(5)) * 2]) for k in (0.2, 0.6, 1.0)]
    policy = TunedSoftmax(problem)
    star = len(problem.objectives) - 1

    def lift(clip: float) -> PairedLift:
        clipped = replace(problem, weight_clip=clip)
        return PairedLift(clipped, policy, problem.rewards[:, star], problem.q[:, star], "x")

    free, cut = lift(1e9), lift(1.5)
    used = np.ones(len(problem.propensity), np.bool_)
    sample = EffectiveSampleSize(problem, policy, used, 1.0)
    late = problem.age == 0
    rewards = problem.rewards.copy()
    rewards[late, star] = np.nan
    waits = replace(problem, rewards=rewards, open=late, weight_clip=1e9)
    known_lift = PairedLift(waits, policy, rewards[:, star], problem.q[:, star], "x")
    tuned = power_tuned(waits, policy, star, known_lift)
    assert tuned is not None
    spread = rng.standard_normal((5, 5)) / 10
    there = CoefficientLift(problem, policy, free, rng.standard_normal(5), spread @ spread.T)
    cap, guard = DivergenceCap(policy, 0.5), guardrail_floor(free, 0.1, 1.28)
    asked: dict[str, tuple[Callable[[Floats], tuple[float, Slope]], float]] = {
        "lift": (lambda p: free.lower_bound(p, 0.0), 1e-4),
        "lower bound of the lift": (lambda p: free.lower_bound(p, 3.0), 1e-4),
        "lower bound with clipped weights": (lambda p: cut.lower_bound(p, 3.0), 1e-6),
        "lower bound with a surrogate": (lambda p: tuned.lower_bound(p, 3.0), 1e-4),
        "lower bound of the lift by coefficients": (lambda p: there.lower_bound(p, 3.0), 1e-4),
        "divergence from the champion": (policy.divergence, 1e-4),
        "slack of the divergence": (cap.slack, 1e-4),
        "slack of the effective sample size": (sample.slack, 1e-4),
        "slack of a guardrail": (guard.slack, 1e-4),
        "slack of the mean entropy": (EntropyFloor(policy, 0.5).slack, 1e-4),
        "slack of the bound that is kept": (kept_bound(free, 0.1, 3.0).slack, 1e-4),
    }
    return [_row(name, function, points, step) for name, (function, step) in asked.items()]


def _row(
    name: str,
    function: Callable[[Floats], tuple[float, Slope]],
    points: list[Floats],
    step: float,
) -> Row:
    errors = []
    for point in points:
        exact = function(point)[1]()
        found = [_slope(lambda p: function(p)[0], point, e) for e in step * np.eye(len(point))]
        errors.append(np.abs(exact - found).max() / np.abs(found).max())
    worst = float(max(errors))
    return Row(
        f"gradient of the {name}: relative error",
        worst,
        bar=f"< {BAR:g}",
        holds=worst < BAR,
        note=f"{len(points)} points, step {step:g}",
    )


def _slope(value: Callable[[Floats], float], point: Floats, step: Floats) -> float:
    near = value(point + step) - value(point - step)
    far = value(point + 2 * step) - value(point - 2 * step)
    return float((8 * near - far) / (12 * np.abs(step).max()))
