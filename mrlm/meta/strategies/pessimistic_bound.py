"""The project's own strategy: the largest lower bound that holds for every direction at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri, ndtri

from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.users import group
from mrlm.messages.message import Message
from mrlm.meta.problem.coefficient_lift import CoefficientLift
from mrlm.meta.problem.coefficient_sums import coefficient_sums
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.step_limits import kept_bound
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.search.within_limits import DOUBLINGS, Search
from mrlm.meta.strategies.contract import Proposal
from mrlm.meta.strategies.sharpened import sharpest

# A doubling that raises the lower bound by a smaller share is not worth a sharper policy.
_WORTH = 0.01
# Rounds whose search finds the neighbourhood of the best point.
_ENOUGH = 5_000
# Tolerance of a search whose points are many: a fiftieth of a standard error is noise.
_COARSE = 0.02
# Standard errors of caution among points that are proven.
_LIKELY_Z = 1.0


@dataclass(frozen=True)
class BoundedStep:
    """A point, the lower bound of its lift at ``z`` standard errors, and how it was found."""

    point: Vector
    bound: float
    z: float
    limited_by: tuple[str, ...]
    evaluations: int
    failures: tuple[str, ...]
    search: Search | None = None


class PessimisticBound:
    """Maximises value - z * standard error of the paired lift over the champion.

    z^2 is the ``tuning.confidence`` point of chi-square with as many degrees of freedom as there
    are free directions (Scheffe: the bound holds for all directions at once, hence for the chosen
    one). The sum of theta is raised where it alone holds the step back. A score with a horizon is
    weighed only within a KL cap of its own: its value is that of the champion's states, and grows
    wrong with the distance from it.

    Where no point has a bound above 0, policies are tried that the tune nights had no part in: the
    target's own head of tonight, as sharp as the limits allow, and the weights that were chosen
    last, over tonight's heads. A policy that was named beforehand needs no correction for a choice,
    so its bound is one-sided at ``tuning.head_confidence``.
    """

    name = "pessimistic_bound"

    def propose(self, task: TuningTask, previous: Vector | None, seed: int) -> Proposal:
        """See ``Strategy``."""
        t_squared, rank, _ = task.significance
        needed = float(chdtri(rank, 1 - task.settings.confidence)) if rank else math.inf
        step = searched(task, math.sqrt(needed) if rank else 0.0, previous, seed)
        if step.bound > 0:
            step = _bolder(step, task)
        else:
            step = _named_beforehand(step, task, previous)
        if step.bound > 0:
            reason = Message(
                "the lower bound of the lift of {objective} is {bound:.4g}",
                objective=task.target.name,
                bound=step.bound,
            )
        elif not t_squared > needed:
            reason = Message(
                "no evidence: no direction from the champion is significant (T^2 = "
                "{t_squared:.1f}, needed {needed:.1f} with {rank} directions), nor is the lift of "
                "tonight's head or of the last weights over tonight's heads",
                t_squared=t_squared,
                needed=needed,
                rank=rank,
            )
        else:
            reason = nothing_shown(task.problem)
            if step.failures:
                reason = Message(
                    "{reason}; the solver reported: {failure}",
                    reason=reason,
                    failure=step.failures[0],
                )
        return Proposal(
            step.point, step.bound > 0, reason, step.z, step.evaluations, step.limited_by
        )


def nothing_shown(problem: TuningProblem) -> Message:
    """Why nothing is proposed, with how rare the north star is: most often that is the cause."""
    star = north_star(problem.objectives).name
    rewards = problem.rewards[:, problem.names.index(star)]
    known = rewards[~np.isnan(rewards)]
    return Message(
        "no evidence: no weights within the limits are shown to raise {objective}, which is other "
        "than 0 in {other} of {rows} decisions of the tune nights",
        objective=star,
        other=int((known != 0).sum()),
        rows=len(known),
    )


def searched(task: TuningTask, z: float, previous: Vector | None, seed: int) -> BoundedStep:
    """The permitted point with the largest bound; the champion's with bound 0 if none is better.

    Of many rounds some users' are searched first, from every start and with bounds as wide as those
    of all; from what they find all are searched once.

    Args:
        task: see ``TuningTask``.
        z: standard errors in the bound.
        previous: one more start.
        seed: of the random starts, and of the users.
    """
    points = [task.own] if task.own.any() else []
    points += [] if previous is None else [previous]
    rows = len(task.problem.propensity)
    if rows <= 2 * _ENOUGH:
        return _searched(task, z, points, seed)
    share = _ENOUGH / rows
    part = _part(task, share, seed)
    coarse = _searched(part, z * math.sqrt(share), points, seed, _COARSE)
    if coarse.bound > 0:
        fine = _searched(task, z, [coarse.point], seed, _COARSE, alone=True)
        if fine.bound > 0:
            return replace(fine, evaluations=coarse.evaluations + fine.evaluations)
    return _searched(task, z, points, seed)


def _part(task: TuningTask, share: float, seed: int) -> TuningTask:
    """The task on a share of the users, with limits that are as wide as on all."""
    users, code = group(task.problem.cluster)
    drawn = np.random.default_rng(seed).random(len(users)) < share
    settings = task.settings.model_copy(
        update={
            "least_effective_rows": max(round(share * task.settings.least_effective_rows), 1),
            "guardrail_z": math.sqrt(share) * task.settings.guardrail_z,
        }
    )
    part = task.problem.rounds(np.flatnonzero(drawn[code]))
    if part.judged is not None:
        part = replace(part, judged=replace(part.judged, z=math.sqrt(share) * part.judged.z))
    return TuningTask.of(part, settings)


def _searched(
    task: TuningTask,
    z: float,
    points: Sequence[Vector],
    seed: int,
    tolerance: float = 1e-4,
    alone: bool = False,
) -> BoundedStep:
    """From every start, or from ``points`` alone."""
    champion, (t_squared, rank, direction) = task.policy.champion_point, task.significance
    # Where no direction moves the lift there is nothing to search.
    searches = _searches(task, z) if rank else []
    # Where the champion's gradient is not significant only what is better is started from.
    uphill = task.space.basis @ direction if rank and t_squared > z**2 else None
    failures: list[str] = []
    best, looked = BoundedStep(champion, 0.0, z, (), 0, ()), 0
    for search in searches:
        search = replace(search, tolerance=tolerance)
        starts = (
            [search.space.coordinates(p) for p in points]
            if alone
            else search.starts(uphill, points, seed)
        )
        point, bound = search.best(starts, failures)
        for _ in range(DOUBLINGS):
            if not search.binds_scale(point):
                break
            search = replace(search, space=search.space.scaled(2.0))
            found, further = search.best([search.space.coordinates(point)], failures)
            if further <= (1 + _WORTH) * bound:
                break
            point, bound = found, further
        looked += search.evaluations
        if bound > best.bound:
            best = BoundedStep(point, bound, z, search.binding(point), 0, (), search)
    return replace(best, evaluations=looked, failures=tuple(failures))


def _bolder(step: BoundedStep, task: TuningTask) -> BoundedStep:
    """The point with the best likely lift, of those that keep enough bound.

    The bound holds for all points at once, so whichever is chosen among those where it is above 0
    is proven to be better than the champion. The one where it is largest is the most certain, and
    gives up much of the lift that is likely. What is likely is told by how features count for the
    target (``CoefficientLift``), less one standard error: among points that are proven already it
    need not be safe, and it is far less noisy than weighted rewards.
    """
    share = task.settings.kept_bound
    if share == 1 or step.search is None:
        return step
    likely = _by_coefficients(task)
    proven = kept_bound(task.target, share * step.bound, step.z)
    search = Search(step.search.space, likely, [*step.search.limits, proven], _LIKELY_Z, _COARSE)
    point, found = search.best([search.space.coordinates(step.point)], [])
    bound = task.target.lift(point, step.z).lower
    if bound <= 0 or found <= likely.lift(step.point, _LIKELY_Z).lower:
        return step
    return replace(
        step,
        point=point,
        bound=bound,
        limited_by=search.binding(point),
        evaluations=step.evaluations + search.evaluations,
    )


def _by_coefficients(task: TuningTask) -> CoefficientLift:
    """The target's lift by the coefficients of all rounds, on some of them where there are many."""
    rows = len(task.problem.propensity)
    sums = coefficient_sums(task.problem, task.known, np.zeros(rows, np.int64), 1)
    covariance = np.linalg.pinv(sums.precision[0], hermitian=True)
    if rows > 2 * _ENOUGH:
        some = task.problem.rounds(np.arange(0, rows, rows // _ENOUGH))
        task = TuningTask.of(some, task.settings)
    return CoefficientLift(
        task.problem, task.policy, task.known, covariance @ sums.pull[0], covariance
    )


def _named_beforehand(step: BoundedStep, task: TuningTask, previous: Vector | None) -> BoundedStep:
    """Of the own head and the last weights over tonight's heads the better one; else ``step``."""
    z = float(ndtri(task.settings.head_confidence))
    best, looked = step, 0
    for point, limited in _points_named(task, previous):
        looked += 1
        bound = task.target.lift(point, z).lower
        if bound > max(best.bound, 0.0):
            best = replace(best, point=point, bound=bound, z=z, limited_by=limited)
    return replace(best, evaluations=step.evaluations + looked)


def _points_named(
    task: TuningTask, previous: Vector | None
) -> Iterator[tuple[Vector, tuple[str, ...]]]:
    """Permitted points that the tune nights had no part in, each with what holds it back.

    The own head as sharp as the limits allow, and the last theta without the anchor, which has it
    already: as sharp as it was, where the limits allow that.
    """
    if task.own.any():
        point, sharper = sharpest(task, task.own)
        if point is not None:
            yield point, sharper
    if previous is not None and task.settings.weights is None and previous[1:].any():
        last = np.concatenate([[0.0], previous[1:]])
        total = float(np.abs(last).sum())
        point, sharper = (last, ()) if task.permits(last) else sharpest(task, last / total)
        if point is not None:
            yield point, sharper


def _searches(task: TuningTask, z: float) -> Sequence[Search]:
    """One search without scores that have a horizon, and one with them within their KL cap.

    A cap on every step is theirs too: then one search does.
    """
    space, target, limits, ahead = task.space, task.target, task.limits, task.ahead
    if task.always_capped or not ahead:
        return [Search(space, target, limits, z)]
    found = [Search(space, target, [*limits, task.divergence_cap], z)]
    if task.settings.weights is None and len(ahead) < len(task.problem.columns):
        found.insert(0, Search(space.without(ahead), target, limits, z))
    return found
