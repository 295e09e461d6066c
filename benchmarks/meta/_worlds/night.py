"""What a night of these worlds gives the meta-update: heads fitted on its log, as a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Objective
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.worlds.weighing import WeighingLog, WeighingWorld, softmax_with_floor

Floats = NDArray[np.float64]
RIDGE = 10.0
# Sum of the equal weights that nights begin with.
FIRST_SCALE = 8.0
WEIGHT_CLIP = 10.0


@dataclass(frozen=True)
class Heads:
    """Predicted objectives and north star, linear in the pairs.

    Attributes:
        coefficients: float64, shape (d * d, m + 1), the north star's last.
        scale: float64, shape (m + 1,), standard deviation of each head over candidates.
    """

    coefficients: Floats
    scale: Floats

    def policy(self, point: Floats, anchor: Floats) -> Floats:
        """Coefficients of the logit of a tuned policy: kappa * anchor + theta . heads / scale.

        Theta is over the objectives' heads, with or without the north star's.
        """
        used = len(point) - 1
        weights = point[1:] / self.scale[:used]
        found: Floats = point[0] * anchor + self.coefficients[:, :used] @ weights
        return found


def fitted(logs: Sequence[WeighingLog]) -> Heads:
    """Ridge regression on the shown pairs of these nights."""
    seen = np.concatenate([log.pair[log.shown] for log in logs])
    observed = np.concatenate([np.column_stack([log.rewards, log.north_star]) for log in logs])
    coefficients = ridge(seen, observed)
    # Pairs have mean 0 and variance 1 each, and are uncorrelated.
    return Heads(coefficients, np.linalg.norm(coefficients, axis=0))


def equal_policy(heads: Heads) -> Floats:
    """Coefficients of the policy that weighs every objective alike, as every world begins with."""
    m = len(heads.scale) - 1
    equal = np.concatenate([[0.0], np.full(m, FIRST_SCALE / m)])
    return heads.policy(equal, np.zeros(len(heads.coefficients)))


def ridge(seen: Floats, observed: Floats) -> Floats:
    """Coefficients of what was observed on what was seen, drawn to 0."""
    gram = seen.T @ seen + RIDGE * np.eye(seen.shape[1])
    return np.asarray(np.linalg.solve(gram, seen.T @ observed), np.float64)


def objectives_of(world: WeighingWorld) -> tuple[Objective, ...]:
    """The world's objectives, the north star last."""
    names = [f"objective_{j + 1}" for j in range(world.objectives)]
    return (
        *(Objective(name, "feedback", event=name) for name in names),
        Objective("north_star", "feedback", role="north_star", event="north_star"),
    )


def problem_of(
    world: WeighingWorld,
    logs: Sequence[WeighingLog],
    champion: Floats | None,
    heads: Heads | None = None,
    *,
    own_head: bool = False,
) -> TuningProblem:
    """The problem of a window of nights, oldest first.

    Args:
        world: that wrote them.
        logs: of the window.
        champion: coefficients of its logit; None is uniform.
        heads: fitted on other nights; None fits them on the window, each half of the users
            predicted by the other half.
        own_head: whether the north star's own head is a feature too.
    """
    k = world.candidates
    rows = np.cumsum([0, *(len(log.shown) for log in logs)])
    shown = np.concatenate([log.shown + k * at for log, at in zip(logs, rows, strict=False)])
    observed = np.concatenate([np.column_stack([log.rewards, log.north_star]) for log in logs])
    # Users come once: those of another night are others.
    cluster = np.concatenate([log.user + at for log, at in zip(logs, rows, strict=False)])
    if heads is None:
        q = _cross_fitted(logs, observed, cluster, k)
        scale = q.std(axis=0)
    else:
        q, scale = _of_pairs(logs, heads.coefficients), heads.scale
    logit = np.zeros(len(q)) if champion is None else _of_pairs(logs, champion)
    core = softmax_with_floor(logit, k, 0.0)
    objectives = objectives_of(world)
    features = len(objectives) if own_head else len(objectives) - 1
    columns = tuple(o.name for o in objectives[:features])
    age = np.repeat(np.arange(len(logs))[::-1], np.diff(rows))
    return TuningProblem(
        offsets=np.arange(0, len(q) + 1, k),
        shown=shown,
        propensity=np.concatenate([log.probability[log.shown] for log in logs]),
        cluster=cluster,
        features=(q / scale)[:, :features],
        columns=columns,
        serves=columns,
        log_anchor=np.log(np.maximum(core, 1e-300)),
        champion=softmax_with_floor(logit, k, world.floor),
        rewards=observed,
        q=q,
        objectives=objectives,
        floor=world.floor,
        weight_clip=WEIGHT_CLIP,
        age=age,
    )


def _cross_fitted(
    logs: Sequence[WeighingLog], observed: Floats, cluster: NDArray[np.int64], candidates: int
) -> Floats:
    """Predictions of every candidate by ridge regression on the other half of the users."""
    seen = np.concatenate([log.pair[log.shown] for log in logs])
    half = cluster % 2 == 1
    both = np.column_stack([ridge(seen[other], observed[other]) for other in (half, ~half)])
    q = _of_pairs(logs, both)
    m = observed.shape[1]
    return np.where(np.repeat(half, candidates)[:, None], q[:, m:], q[:, :m])


def _of_pairs(logs: Sequence[WeighingLog], coefficients: Floats) -> Floats:
    """What linear coefficients say of every candidate of these nights."""
    return np.concatenate([log.pair @ coefficients for log in logs])
