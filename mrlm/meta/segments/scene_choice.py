"""Weights of its own for each scene, where scenes want different things and every limit holds.

A scene here is any segment of decisions that a policy can tell when it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.coefficient_sums import coefficient_sums
from mrlm.meta.problem.contract import BoundedLift
from mrlm.meta.problem.objective_lifts import objective_lifts
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.group_floors import loss_in_words
from mrlm.meta.search.tuning_result import ShownFloor
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.search.within_limits import MAY_BREAK
from mrlm.meta.segments.coefficient_model import coefficient_model
from mrlm.meta.segments.scene_features import scene_features
from mrlm.meta.segments.segment_points import segment_point
from mrlm.meta.settings import TuningSettings

# Shares of the way from the common point to each scene's own that are tried, the whole one first.
_STEPS = (1.0, 0.5, 0.25, 0.125)


@dataclass(frozen=True)
class SceneChoice:
    """What scenes get instead of the point of all decisions.

    Attributes:
        reason: why, in one sentence.
        points: scene to (kappa, theta), each of shape (1 + f,); empty: all keep the common point.
        unseen: those of them that have no decision, whose point is by their description alone.
        lifts: of every objective over the champion on the tune nights with these points, doubly
            robust, lowered by ``guardrail_z``; chosen on the same rounds, so they prove nothing.
            Empty where no scene has a point.
        kl: mean divergence of what is served then from the champion, nats.
        effective_sample_size: that it keeps, in decisions.
        floors: of who is shown, with what is served then.
    """

    reason: str
    points: Mapping[str, Vector] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    lifts: Mapping[str, BoundedLift] = field(default_factory=dict)
    kl: float = 0.0
    effective_sample_size: float = 0.0
    floors: Mapping[str, ShownFloor] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All fields, as plain data; floors where there are any."""
        floors = {name: asdict(floor) for name, floor in self.floors.items()}
        return {
            "reason": self.reason,
            "points": {scene: point.tolist() for scene, point in self.points.items()},
            "unseen": list(self.unseen),
            "lifts": {name: asdict(lift) for name, lift in self.lifts.items()},
            "kl": self.kl,
            "effective_sample_size": self.effective_sample_size,
            **({"floors": floors} if floors else {}),
        }


def scene_choice(
    problem: TuningProblem,
    settings: TuningSettings,
    scene: NDArray[Any],
    overall: Vector,
    seed: int,
    described: Mapping[str, NDArray[Any]] | None = None,
    users: Mapping[str, NDArray[Any]] | None = None,
) -> SceneChoice:
    """A point for each scene, by what its decisions say and what all scenes have in common.

    What scenes have in common may go by their descriptions or by their users, whichever tells what
    scenes want. Where descriptions do, a described scene without a decision has a point too.

    All keep the common point where the tune nights do not tell scenes apart. Where the points of
    all scenes together break a limit that every point keeps to (a guardrail, the effective sample
    size, a floor of entropy or exposure, the cap on the divergence where it holds), every scene
    goes half of its way from the common point, or a quarter or an eighth; where none of these is
    permitted all keep it.

    Args:
        problem: rounds that the common point was chosen on.
        settings: caps and levels.
        scene: label of each decision, shape (n,).
        overall: the common point, (kappa, theta).
        seed: of what is random.
        described: vector of each described scene, shape (dimensions,).
        users: vector of each scene's users, see ``scene_users``; None: they are not looked at.
    """
    described = described or {}
    names, code = np.unique(scene.astype(str), return_inverse=True)
    unseen = sorted(set(described) - set(names.tolist()))
    every = [*names.tolist(), *unseen]
    task = TuningTask.of(problem, settings)
    sums = coefficient_sums(problem, task.known, code, len(every))
    known = int((sums.rounds > 0).sum())
    if known < 2:
        return SceneChoice("only one segment has known rewards")
    # All scenes but one still tell every coefficient of the regression.
    by_description = scene_features(described, every, known - 2)
    by_users = scene_features(users or {}, every, known - 2)
    model = coefficient_model(sums, *by_description, *by_users)
    if not model.spread.any() and not model.uses_features:
        return SceneChoice("the tune nights do not tell that segments want different things")
    # Nobody was yet in a scene without a decision.
    tells_unseen = model.table is not None and model.table < len(by_description)
    points = {
        name: segment_point(
            problem,
            settings,
            np.flatnonzero(code == s),
            (model.mean[s], model.covariance[s]),
            overall,
            seed,
        )
        for s, name in enumerate(every if tells_unseen else names.tolist())
    }
    found = _within_limits(task, points, code, overall)
    return replace(found, unseen=tuple(name for name in unseen if name in found.points))


def _within_limits(
    task: TuningTask, points: Mapping[str, Vector], code: NDArray[np.int64], overall: Vector
) -> SceneChoice:
    """The points, or as much of their way from the common one as keeps to every limit."""
    refused = ""
    for share in _STEPS:
        nearer = {name: overall + share * (point - overall) for name, point in points.items()}
        served = _served(task, nearer, code)
        lifts = {
            lift.name: lift.of_probabilities(served, task.settings.guardrail_z)
            for lift in objective_lifts(task.problem, task.policy)
        }
        broken = _broken(task, nearer, served, lifts)
        if not broken:
            way = "" if share == 1 else f", and go {share:g} of their way to keep to every limit"
            return SceneChoice(
                f"segments want different things{way}",
                nearer,
                lifts=lifts,
                kl=task.policy.divergence_of(served),
                effective_sample_size=task.sample.of_probabilities(served),
                floors=task.floors(served),
            )
        refused = refused or broken
    return SceneChoice(f"with weights by segment {refused}")


def _served(task: TuningTask, points: Mapping[str, Vector], code: NDArray[np.int64]) -> Vector:
    """Probabilities of all candidates where each scene has its point, shape (N,)."""
    served = np.empty(len(task.problem.log_anchor))
    for s, point in enumerate(points.values()):
        there = np.repeat(code == s, task.policy.lengths)
        served[there] = task.policy.probabilities(point)[there]
    return served


def _broken(
    task: TuningTask,
    points: Mapping[str, Vector],
    served: Vector,
    lifts: Mapping[str, BoundedLift],
) -> str:
    """The limit that the scenes' policies break together, in words; empty: none."""
    if task.sample.of_probabilities(served) < task.sample.least:
        return f"there is not {task.sample.name}"
    margins = {o.name: o.margin for o in task.problem.objectives if o.role == "guardrail"}
    broken = [name for name, margin in margins.items() if lifts[name].lower < -margin]
    if broken:
        return f"the guardrail {broken[0]} does not hold"
    harmed = task.harmed(served)
    if task.problem.judged is not None and harmed:
        return f"{loss_in_words(task.problem.judged, harmed[0])} is too much"
    limits = [*task.of_any_policy, *task.caps_of(points.values())]
    beyond = [limit for limit in limits if limit.slack_of(served) < -MAY_BREAK]
    return f"{beyond[0].name} does not hold" if beyond else ""
