"""What weights that somebody types would do: valued as a night would, with nothing trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from mrlm.bandit_log.objectives import north_star
from mrlm.meta.problem.contract import BoundedLift
from mrlm.meta.problem.objective_lifts import certified_z, lowered, objective_lifts
from mrlm.meta.problem.tuned_softmax import TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.step_limits import EffectiveSampleSize
from mrlm.meta.search.tuning_result import Guardrail
from mrlm.meta.search.typed_weights import typed_direction
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune

_TWO_SIDED = float(ndtri(0.975))


@dataclass(frozen=True)
class TypedLift:
    """What weights do to one objective.

    Attributes:
        value: lift over the champion on the tune nights, doubly robust, in the objective's unit.
        standard_error: clustered by user.
        lower: of the 95 % interval of these weights alone.
        upper: of the same.
        certified: lower bound that holds for whatever weights are typed, and for all objectives,
            with 95 %; see ``certified_z``.
    """

    value: float
    standard_error: float
    lower: float
    upper: float
    certified: float


@dataclass(frozen=True)
class WhatIf:
    """A policy at given weights, beside the champion.

    Attributes:
        point: (kappa, theta) of the policy.
        moved: whether it is another policy than the champion.
        reason: why a night with these weights would choose this point, or leave the champion, in a
            sentence.
        limited_by: what held the step back, in words; None where nothing was searched for.
        lifts: by objective.
        guardrails: by name.
        kl: mean KL to the champion, nats.
        effective_sample_size: Kish's, of the decisions with a known north star.
    """

    point: tuple[float, ...]
    moved: bool
    reason: str
    limited_by: tuple[str, ...] | None
    lifts: dict[str, TypedLift]
    guardrails: dict[str, Guardrail]
    kl: float
    effective_sample_size: float


def what_if(
    problem: TuningProblem, settings: TuningSettings, weights: Mapping[str, float], seed: int = 0
) -> WhatIf:
    """The policy that a night with these weights would propose, and what it does.

    Kappa and the scale are chosen by ``tune`` as that night would choose them.

    Args:
        problem: rounds of the tune nights.
        settings: caps and levels of that night; its fixed weights are not read.
        weights: objective or feature to a weight of at least 0, not all 0.
        seed: of the night.

    Raises:
        ValueError: a weight names nothing, or see ``tune``.
    """
    fixed = settings.model_copy(update={"weights": dict(weights)})
    result = tune(problem, fixed, seed=seed)
    return _valued(
        problem,
        settings,
        result.point,
        moved=result.moved,
        reason=result.reason,
        limited_by=result.limited_by,
    )


def at_point(
    problem: TuningProblem, settings: TuningSettings, point: Vector, *, moved: bool = True
) -> WhatIf:
    """The policy at a point, and what it does; nothing is chosen and no limit is kept.

    Args:
        problem: rounds of the tune nights.
        settings: level of the guardrails.
        point: (kappa, theta), shape (1 + f,).
        moved: False: it is the champion itself, whose exploration floor may be another one than
            that of the tuned policy at (1, 0).

    Raises:
        ValueError: fewer than two users have a known reward of an objective.
    """
    return _valued(problem, settings, point, moved=moved, reason="the point was given")


def typed_point(
    problem: TuningProblem, weights: Mapping[str, float], kappa: float, scale: float
) -> Vector:
    """(kappa, theta), shape (1 + f,), with theta in the weights' proportions, |.| summing to scale.

    Args:
        problem: the features.
        weights: objective or feature to a weight of at least 0, not all 0.
        kappa: weight of the champion's log probabilities.
        scale: inverse temperature.

    Raises:
        ValueError: a weight names nothing.
    """
    return np.concatenate([[kappa], scale * typed_direction(problem, weights)])


def _valued(
    problem: TuningProblem,
    settings: TuningSettings,
    point: Vector,
    *,
    moved: bool,
    reason: str,
    limited_by: tuple[str, ...] | None = None,
) -> WhatIf:
    policy = TunedSoftmax(problem)
    lifts = objective_lifts(problem, policy)
    # Where nothing moves the challenger is the champion itself, floor and all.
    nothing = BoundedLift(0.0, 0.0, 0.0)
    found = {lift.name: lift.lift(point, 0.0) if moved else nothing for lift in lifts}
    z = certified_z(policy.dimensions, len(problem.names))
    margins = {o.name: o.margin for o in problem.objectives if o.role == "guardrail"}
    guarded = {n: lowered(found[n], settings.guardrail_z) for n in margins}
    star = problem.names.index(north_star(problem.objectives).name)
    sample = EffectiveSampleSize(problem, policy, lifts[star].used, 0.0)
    return WhatIf(
        point=tuple(float(x) for x in point),
        moved=moved,
        reason=reason,
        limited_by=limited_by,
        lifts={n: typed_lift(lift, z) for n, lift in found.items()},
        guardrails={
            n: Guardrail(lift, margins[n], lift.lower >= -margins[n]) for n, lift in guarded.items()
        },
        kl=policy.divergence(point)[0] if moved else 0.0,
        effective_sample_size=sample.of(point),
    )


def typed_lift(lift: BoundedLift, z: float) -> TypedLift:
    """A lift with its own interval, and certified at z standard errors."""
    half = _TWO_SIDED * lift.standard_error
    return TypedLift(
        lift.value,
        lift.standard_error,
        lift.value - half,
        lift.value + half,
        lowered(lift, z).lower,
    )
