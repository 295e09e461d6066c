"""The meta-update: choose the weights whose proven lift of the north star is largest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri, ndtri

from mrlm.bandit_log.objectives import north_star
from mrlm.meta.objective import PairedLift
from mrlm.meta.policy import TunedSoftmax, Vector
from mrlm.meta.problem import TuningProblem
from mrlm.meta.search import Search, Space
from mrlm.meta.settings import TuningSettings
from mrlm.meta.step_limits import DivergenceCap, EffectiveSampleSize, GuardrailFloor, Limit
from mrlm.meta.typed_weights import typed_direction
from mrlm.meta.weights import Guardrail, TuningResult

# The scale is doubled as often as this while it holds the best point back: a softmax of
# standardised features at 64 is greedy but for ties.
_DOUBLINGS = 3
# A doubling that raises the lower bound by a smaller share is not worth a sharper policy.
_WORTH = 0.01


def tune(
    problem: TuningProblem,
    settings: TuningSettings,
    previous: Vector | None = None,
    seed: int = 0,
) -> TuningResult:
    """Weights with the largest lower bound of the lift over the champion.

    Maximises value - z * standard error of the paired lift of the north star, where z^2 is the
    ``settings.confidence`` point of chi-square with as many degrees of freedom as there are free
    directions (Scheffe: the bound holds for all directions at once, hence for the chosen one),
    subject to the guardrails, the effective sample size, the KL caps, the bounds of theta and of
    its sum. That sum is raised where it alone holds the step back. A score with a horizon is
    weighed only within a KL cap of its own: its value is that of the champion's states, and grows
    wrong with the distance from it.

    Where no point has a bound above 0, one policy is tried that the tune nights had no part in:
    the north star's own head of tonight, as sharp as the limits allow. One policy needs no
    correction for a choice, so its bound is one-sided at ``settings.head_confidence``.

    Where weights are fixed by hand, only kappa and the scale are chosen, and what is maximised is
    the reward at those weights, each objective in units of the standard deviation of its
    predictions.

    Args:
        problem: rounds of the tune nights.
        settings: caps and levels.
        previous: last night's (kappa, theta), shape (1 + f,), as one more start.
        seed: of the random starts.

    Returns:
        The chosen point; the champion's (1, 0) with the reason where there is no evidence for
        another one, or the solver fails.

    Raises:
        ValueError: fixed weights name no feature, or too few users have known rewards.
    """
    policy = TunedSoftmax(problem)
    if previous is not None and previous.shape != policy.champion_point.shape:
        raise ValueError(
            f"previous must be (kappa, theta) of shape {policy.champion_point.shape}; "
            f"got {previous.shape}"
        )
    # Weights fixed by hand leave no more than two directions, wherever last night ended.
    previous = previous if settings.weights is None else None
    asked = _asked(problem, policy, settings)
    target, lifts = asked.target, _guardrail_lifts(problem, policy)
    margins = {o.name: o.margin for o in problem.objectives}
    used = int(target.used.sum())
    least = max(settings.least_effective_rows, settings.least_effective_share * used)
    sample = EffectiveSampleSize(problem, policy, target.used, least)
    limits: list[Limit] = [sample]
    limits += [GuardrailFloor(lift, margins[lift.name], settings.guardrail_z) for lift in lifts]
    if settings.kl_cap == "always":
        limits.append(DivergenceCap(policy, settings.max_kl))

    t_squared, rank, direction = target.significance(policy.champion_point, asked.space.basis)
    needed = float(chdtri(rank, 1 - settings.confidence)) if rank else math.inf
    z = math.sqrt(needed) if rank else 0.0
    # Where no direction moves the lift there is no z to search with.
    searches = _searches(problem, settings, policy, asked, limits, z) if rank else []
    uphill = asked.space.basis @ direction if t_squared > needed else None
    points = [asked.own, *([] if previous is None else [previous])]
    step = _searched(searches, policy.champion_point, uphill, points, seed)
    if step.bound <= 0:
        step = _own_head(step, asked, limits, settings)
    if step.bound > 0:
        reason = f"the lower bound of the lift of {target.name} is {step.bound:.4g}"
    elif uphill is None:
        reason = (
            f"no evidence: no direction from the champion is significant "
            f"(T^2 = {t_squared:.1f}, needed {needed:.1f} with {rank} directions), nor is the lift "
            f"of tonight's head"
        )
    else:
        reason = "no evidence: no permitted point has a lower bound of the lift above 0"
        reason += f"; the solver reported: {step.failures[0]}" if step.failures else ""
    point = step.point if step.bound > 0 else policy.champion_point
    guardrails = {}
    for lift in lifts:
        lowered = lift.lift(point, settings.guardrail_z)
        holds = lowered.lower + margins[lift.name] >= -1e-3 * lift.resolution
        guardrails[lift.name] = Guardrail(lowered, margins[lift.name], bool(holds))
    return TuningResult(
        columns=problem.columns,
        kappa=float(point[0]),
        theta=tuple(float(t) for t in point[1:]),
        moved=step.bound > 0,
        reason=reason,
        target=target.name,
        lift=target.lift(point, step.z),
        z=step.z,
        significance=t_squared,
        directions=rank,
        kl=policy.divergence(point)[0],
        guardrails=guardrails,
        evaluations=step.evaluations,
        effective_sample_size=sample.of(point),
        limited_by=step.limited_by,
    )


@dataclass(frozen=True)
class _Asked:
    """What is maximised, where, and the policy of the target's own head: kappa 0, scale 1.

    ``own`` is 0 where no feature serves the target.
    """

    target: PairedLift
    space: Space
    own: Vector


@dataclass(frozen=True)
class _Step:
    """A point, the lower bound of its lift at ``z`` standard errors, and what held it back."""

    point: Vector
    bound: float
    z: float
    limited_by: tuple[str, ...]
    evaluations: int
    failures: tuple[str, ...]


def _searched(
    searches: Sequence[Search],
    champion: Vector,
    uphill: Vector | None,
    points: Sequence[Vector],
    seed: int,
) -> _Step:
    """The best point of all searches; the champion's with bound 0 where none is better.

    Args:
        searches: in one problem; none leaves the champion.
        champion: its point.
        uphill: direction of the lift at the champion; None where it is not significant: then only
            what is better than the champion is started from.
        points: to start from besides.
        seed: of the random starts.
    """
    failures: list[str] = []
    best = _Step(champion, 0.0, searches[0].z if searches else 0.0, (), 0, ())
    looked = 0
    for search in searches:
        starts = search.starts(uphill, points, seed)
        point, bound = search.best(starts, failures)
        for _ in range(_DOUBLINGS):
            if not search.binds_scale(point):
                break
            search = replace(search, space=search.space.scaled(2.0))
            found, further = search.best([search.space.coordinates(point)], failures)
            if further <= (1 + _WORTH) * bound:
                break
            point, bound = found, further
        looked += search.evaluations
        if bound > best.bound:
            best = _Step(point, bound, search.z, search.binding(point), 0, ())
    return replace(best, evaluations=looked, failures=tuple(failures))


def _own_head(
    step: _Step, asked: _Asked, limits: Sequence[Limit], settings: TuningSettings
) -> _Step:
    """The own head as sharp as the limits allow, where its lift is proven; else ``step``."""
    if not asked.own.any():
        return step
    z = float(ndtri(settings.head_confidence))
    search = Search(asked.space, asked.target, limits, z)
    sharper: tuple[str, ...] = ()
    for halvings in range(2 * _DOUBLINGS):
        point = asked.own * asked.space.scale * 2.0 ** (_DOUBLINGS - halvings)
        if search.permitted(point):
            break
        sharper = tuple(limit.name for limit in limits if limit.slack(point)[0] < 0)
    else:
        return step
    bound = asked.target.lift(point, z).lower
    if bound <= 0:
        return step
    looked = step.evaluations + 1
    return replace(step, point=point, bound=bound, z=z, limited_by=sharper, evaluations=looked)


def _guardrail_lifts(problem: TuningProblem, policy: TunedSoftmax) -> list[PairedLift]:
    return [
        PairedLift(problem, policy, problem.rewards[:, j], problem.q[:, j], o.name)
        for j, o in enumerate(problem.objectives)
        if o.role == "guardrail"
    ]


def _searches(
    problem: TuningProblem,
    settings: TuningSettings,
    policy: TunedSoftmax,
    asked: _Asked,
    limits: list[Limit],
    z: float,
) -> list[Search]:
    """One search without scores that have a horizon, and one with them within their KL cap.

    A cap on every step is theirs too: then one search does.
    """
    target, space = asked.target, asked.space
    ahead = [j for j, c in enumerate(problem.columns) if c in problem.horizon]
    if settings.kl_cap == "always" or not space.basis[1 + np.array(ahead, np.int64)].any():
        return [Search(space, target, limits, z)]
    capped = [*limits, DivergenceCap(policy, settings.max_kl)]
    if settings.weights is not None:
        return [Search(space, target, capped, z)]
    found = [Search(space, target, capped, z)]
    if len(ahead) < len(problem.columns):
        found.insert(0, Search(space.without(ahead), target, limits, z))
    return found


def _asked(problem: TuningProblem, policy: TunedSoftmax, settings: TuningSettings) -> _Asked:
    f, cap = len(problem.columns), settings.max_scale
    if settings.weights is not None:
        basis = np.zeros((1 + f, 2))
        basis[0, 0] = 1.0
        basis[1:, 1] = typed_direction(problem, settings.weights)
        own = np.concatenate([[0.0], basis[1:, 1]])
        space = Space(
            basis=basis,
            lowest=np.zeros(2),
            highest=np.array([1.0, cap]),
            norm=np.array([0.0, 1.0]),
            scale=cap,
        )
        return _Asked(_fixed_target(problem, policy, settings.weights), space, own)
    lowest = np.zeros(f) if problem.lowest is None else np.maximum(problem.lowest, -cap)
    highest = np.full(f, cap) if problem.highest is None else np.minimum(problem.highest, cap)
    # The sum of |theta| where the sign is known; features of either sign have only their box.
    sign = np.where(lowest >= 0, 1.0, np.where(highest <= 0, -1.0, 0.0))
    space = Space(
        basis=np.eye(1 + f),
        lowest=np.concatenate([[0.0], lowest]),
        highest=np.concatenate([[1.0], highest]),
        norm=np.concatenate([[0.0], sign]),
        scale=cap,
    )
    star = problem.names.index(north_star(problem.objectives).name)
    target = PairedLift(
        problem, policy, problem.rewards[:, star], problem.q[:, star], problem.names[star]
    )
    head = np.array([0.0, *(float(s == target.name) for s in problem.serves)])
    return _Asked(target, space, head / max(head.sum(), 1.0))


def _fixed_target(
    problem: TuningProblem, policy: TunedSoftmax, weights: dict[str, float]
) -> PairedLift:
    """The lift of the reward at fixed weights; those of mere features do not count."""
    utility = np.zeros(len(problem.objectives))
    for j, name in enumerate(problem.names):
        spread = float(problem.q[:, j].std())
        utility[j] = weights.get(name, 0.0) / (spread if spread > 0 else 1.0)
    if not utility.any():
        utility[problem.names.index(north_star(problem.objectives).name)] = 1.0
    kept = utility != 0
    reward = problem.rewards[:, kept] @ utility[kept]
    return PairedLift(problem, policy, reward, problem.q[:, kept] @ utility[kept], "weights")
