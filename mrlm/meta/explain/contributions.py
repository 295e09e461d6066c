"""What each objective adds to the lift of a policy: the path integral of the lift's gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.users import group
from mrlm.meta.problem.contract import BoundedLift
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem

EVERYWHERE = "all"
# Sources that are no feature; no objective can have such a name.
LESS_CHAMPION = "less of the champion"
FLOOR = "exploration floor"

_NODES = (12, 36)
# Of the sum of all absolute contributions; what is left of the integral then is shared.
_RESOLVED = 1e-4
# Of the champion's own standard error: rounding, where the floors are the same.
_NOTHING = 1e-9


@dataclass(frozen=True)
class Contribution:
    """What one source adds to a lift.

    Attributes:
        source: an objective by its head, another feature by its column, ``less of the champion``
            (kappa below 1), or ``exploration floor`` (what differs from the champion before any
            weight is given).
        value: in the objective's unit, a mean over decisions.
        standard_error: clustered by user; at the point as it is, however it was chosen.
    """

    source: str
    value: float
    standard_error: float


@dataclass(frozen=True)
class ExplainedLift:
    """The lift of one objective in one group of decisions, and what it is made of.

    Attributes:
        group: ``all``, or a scene.
        rounds: decisions with a known reward.
        lift: over the champion, lowered by the given standard errors.
        contributions: they sum to the lift.
        unresolved: share of all absolute contributions that the quadrature left over, and that is
            shared among the sources in proportion to them, decision by decision.
    """

    group: str
    rounds: int
    lift: BoundedLift
    contributions: tuple[Contribution, ...]
    unresolved: float


def explained_lifts(
    problem: TuningProblem,
    point: Vector,
    objective: str = "",
    scene: NDArray[Any] | None = None,
    z: float = 1.96,
    elsewhere: Sequence[tuple[NDArray[np.bool_], Vector]] = (),
) -> list[ExplainedLift]:
    """What each source adds to the lift of an objective, over all decisions and by scene.

    On the straight line from the champion's point x0 to the point x, source j contributes
    (x_j - x0_j) times the integral over t in [0, 1] of dL/dx_j at x0 + t (x - x0): the
    Aumann-Shapley value (Aumann and Shapley, "Values of Non-Atomic Games", 1974), or integrated
    gradients (Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017).
    Contributions sum to the lift, of every decision and so of every group. A source is a place in
    the weights, not a cause: what two heads both know goes to whichever has the weight.

    Args:
        problem: rounds of the tune nights.
        point: (kappa, theta), shape (1 + f,).
        objective: whose lift; empty: the north star.
        scene: label of each decision, shape (n,); None: no groups.
        z: standard errors in the lower bounds of the lifts.
        elsewhere: decisions, bool of shape (n,), that another point holds for, and that point.

    Returns:
        All decisions, then each scene in which at least two users have a known reward.

    Raises:
        ValueError: no such objective, or fewer than two users have a known reward of it.
    """
    objective = objective or north_star(problem.objectives).name
    if objective not in problem.names:
        raise ValueError(f"there is no objective {objective!r}; there are {list(problem.names)}")
    j = problem.names.index(objective)
    policy = TunedSoftmax(problem)
    lift = PairedLift(problem, policy, problem.rewards[:, j], problem.q[:, j], objective)
    start = lift.rounds(policy.champion_point)
    if np.abs(start).max() < _NOTHING * lift.resolution:
        start[:] = 0.0
    paired, unresolved = lift.rounds(point), 0.0
    parts = np.zeros((len(paired), len(point)))
    for there, at in ((np.ones(len(paired), np.bool_), point), *elsewhere):
        own = lift.rounds(at)
        found_parts, left = _by_coordinate(lift, policy.champion_point, at, own - start)
        paired[there], parts[there] = own[there], found_parts[there]
        unresolved = max(unresolved, left)
    sources, grouping = _sources(problem)
    table = np.column_stack([paired, start, parts @ grouping])
    _, user = group(problem.cluster)
    found = []
    for name, chosen in _groups(scene, lift.used):
        means, errors = _clustered(table[chosen], lift.weight[chosen], user[chosen])
        if np.isfinite(errors).all():
            (value, *shares), (error, *others) = means.tolist(), errors.tolist()
            whole = BoundedLift(value, error, value - z * error)
            contributions = _contributions((FLOOR, *sources), shares, others)
            found.append(ExplainedLift(name, int(chosen.sum()), whole, contributions, unresolved))
    return found


def _contributions(
    sources: Sequence[str], values: Sequence[float], errors: Sequence[float]
) -> tuple[Contribution, ...]:
    """By source; floor and champion only where they add anything."""
    return tuple(
        Contribution(s, v, e)
        for s, v, e in zip(sources, values, errors, strict=True)
        if v != 0 or s not in (FLOOR, LESS_CHAMPION)
    )


def _by_coordinate(
    lift: PairedLift, start: Vector, end: Vector, total: Vector
) -> tuple[NDArray[np.float64], float]:
    """Contribution of each coordinate to each round's score, (n, 1 + f); the share left over.

    Args:
        lift: whose rounds.
        start: the champion's point.
        end: the point that is explained.
        total: of each round, which its contributions sum to, shape (n,).
    """
    step = end - start
    if not step.any():
        return np.zeros((len(total), len(step))), 0.0
    for nodes in _NODES:
        parts = _integral(lift, start, step, nodes)
        rest = total - parts.sum(1)
        size = float(np.abs(parts).sum())
        unresolved = float(np.abs(rest).sum()) / (size or 1.0)
        if unresolved <= _RESOLVED:
            break
    share = np.abs(parts)
    # Where a round has no contribution, the moved coordinates share alike.
    share[share.sum(1) == 0] = step != 0
    parts += rest[:, None] * (share / share.sum(1, keepdims=True))
    return parts, unresolved


def _integral(lift: PairedLift, start: Vector, step: Vector, nodes: int) -> NDArray[np.float64]:
    """Gauss-Legendre in s with t = s^2: a softmax changes most near the champion."""
    place, weight = np.polynomial.legendre.leggauss(nodes)
    parts = np.zeros((len(lift.used), len(step)))
    for s, w in zip((place + 1) / 2, weight / 2, strict=True):
        parts += (w * 2 * s) * lift.gradients(start + s * s * step)
    return parts * step


def _sources(problem: TuningProblem) -> tuple[list[str], NDArray[np.float64]]:
    """Names of sources, and which coordinates belong to each, shape (1 + f, sources)."""
    of = [LESS_CHAMPION, *(s or c for c, s in zip(problem.columns, problem.serves, strict=True))]
    names = list(dict.fromkeys(of))
    grouping = np.zeros((len(of), len(names)))
    grouping[np.arange(len(of)), [names.index(n) for n in of]] = 1.0
    return names, grouping


def _groups(
    scene: NDArray[Any] | None, used: NDArray[np.bool_]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield EVERYWHERE, used
    if scene is not None:
        for name in np.unique(scene[used]):
            yield str(name), used & (scene == name)


def _clustered(
    values: NDArray[np.float64], weight: NDArray[np.float64], user: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted means over rounds, and errors clustered by user; NaN errors where there is one."""
    users, code = np.unique(user, return_inverse=True)
    size, many = float(weight.sum()), len(users)
    mean = weight @ values / size
    influence = np.zeros((many, values.shape[1]))
    np.add.at(influence, code, weight[:, None] * (values - mean) / size)
    correction = many / (many - 1) if many > 1 else np.nan
    return mean, np.sqrt(correction * (influence**2).sum(0))
