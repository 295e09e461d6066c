"""A night's meta-update from a log to a challenger, with everything that is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mrlm.bandit_log.segment_labels import SegmentKind, segment_labels
from mrlm.meta.challenger import anchor_of, challenger
from mrlm.meta.explain.pareto import ParetoPoint, pareto
from mrlm.meta.explain.what_if import TypedLift, at_point, typed_lift
from mrlm.meta.hyperparameters.hyperparameter_record import NO_RECORD, HyperparameterRecord
from mrlm.meta.hyperparameters.search_night import record_of_night, settings_of_night
from mrlm.meta.problem.objective_lifts import certified_z
from mrlm.meta.problem.problem_of_log import tuning_problem
from mrlm.meta.problem.tuning_inputs import TuningInputs
from mrlm.meta.search.tuning_result import ShownFloor, TuningResult
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.segments.scene_choice import SceneChoice, scene_choice
from mrlm.meta.segments.scene_users import scene_users
from mrlm.meta.state.meta_state import MetaState
from mrlm.meta.training_weights.scalarise import objective_weights
from mrlm.meta.tune import counterfactuals
from mrlm.meta.update import MetaUpdate, update
from mrlm.policies.features import feature_columns, feature_matrix
from mrlm.policies.rarity import Rarity
from mrlm.policies.standardise import Standardiser

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrlm.bandit_log import BanditLog, Objective
    from mrlm.meta.problem.judged_groups import JudgedGroups
    from mrlm.meta.problem.tuned_softmax import Vector
    from mrlm.meta.problem.tuning_problem import TuningProblem
    from mrlm.meta.settings import TuningSettings
    from mrlm.policies.contract import Policy, Scorer


@dataclass(frozen=True)
class TunedNight:
    """What a night's meta-update comes to.

    Attributes:
        policy: the challenger; the champion itself, to its exploration floor, where nothing was
            found.
        update: the choice, its evidence, and the state for the next night.
        weights: of the objectives, on the simplex, for tomorrow's learners.
        inputs: what the choice was made on.
        start: last night's (kappa, theta), shape (1 + f,); None on the first night.
        scenes: weights of its own for each scene or other segment; None where ``tuning.segments``
            asks for none.
        record: of hyper-parameters, with tonight's search; None where none may move.

    What is only told of the choice takes longer than the choice, and is computed when it is asked
    for.
    """

    policy: Policy
    update: MetaUpdate
    weights: dict[str, float]
    inputs: TuningInputs
    start: Vector | None
    scenes: SceneChoice | None = None
    record: HyperparameterRecord | None = None

    @property
    def result(self) -> TuningResult:
        """The chosen point and its evidence."""
        return self.update.result

    @property
    def floors(self) -> Mapping[str, ShownFloor]:
        """Of who is shown, with what is served; empty where there are none."""
        scenes = self.scenes
        return self.result.floors if scenes is None or not scenes.points else scenes.floors

    @cached_property
    def strategies(self) -> dict[str, TuningResult]:
        """What each strategy would have chosen, by name."""
        window, settings, seed = self.update.window, self.inputs.settings, self.inputs.seed
        return counterfactuals(window, settings, self.start, seed, self.result)

    @cached_property
    def lifts(self) -> dict[str, TypedLift]:
        """Of every objective under the chosen weights, by scene where scenes have their own."""
        return _lifts(self.update.window, self.inputs.settings, self.result, self.scenes)

    @cached_property
    def front(self) -> list[ParetoPoint]:
        """The Pareto table."""
        result = self.result
        return pareto(self.update.window, result.kappa, max(result.scale, 1.0))

    def to_json(self) -> dict[str, Any]:
        """Documents by name: weights, tuning, state, pareto, and hyperparameters if any move."""
        result = self.result
        return {
            "weights": {
                "objectives": self.weights,
                "point": result.point.tolist(),
                "columns": list(result.columns),
            },
            "tuning": {
                **self.update.to_json(),
                "strategies": {n: r.to_json() for n, r in self.strategies.items()},
                "lifts": {n: asdict(x) for n, x in self.lifts.items()},
                **({} if self.scenes is None else {"scenes": self.scenes.to_json()}),
            },
            "state": self.update.state.to_json(),
            "pareto": [asdict(p) for p in self.front],
            **({} if self.record is None else {"hyperparameters": self.record.to_json()}),
        }


def tuned_night(
    log: BanditLog,
    objectives: Sequence[Objective],
    scorers: tuple[Scorer, ...],
    champion: Policy,
    before: MetaState,
    settings: TuningSettings,
    *,
    nights: Sequence[str],
    learned: Sequence[str],
    horizon: tuple[str, ...],
    weights: Mapping[str, float],
    seed: int,
    past: HyperparameterRecord = NO_RECORD,
    elsewhere: HyperparameterRecord = NO_RECORD,
    described: Mapping[str, NDArray[Any]] | None = None,
    judged: JudgedGroups | None = None,
) -> TunedNight:
    """The challenger out of heads and learned scores; the same arguments give the same bits.

    Args:
        log: decisions of the tune nights with every propensity; its rewards are in the order of
            ``objectives``.
        objectives: m components of the reward vector.
        scorers: the reward model and the learned policies, none fitted on these nights.
        champion: what the challenger is compared with and anchors on.
        before: state that the last judged night left.
        settings: caps, levels, strategy.
        nights: the tune nights, ISO dates, oldest first.
        learned: columns that are scores of learned policies.
        horizon: those of them that count later rewards too.
        weights: of the objectives, that the learned policies were trained with.
        seed: of what is random.
        past: searches of hyper-parameters up to the last judged night; read where some may move.
        elsewhere: another deployment's, which seeds tonight's search of them.
        described: vector of each described scene; read where scenes may have weights of their own.
        judged: groups of the log's decisions that the gate refuses for; None where for none.

    Raises:
        ValueError: see ``update``; no feature is the head of the north star.
    """
    typed, settings = settings, settings_of_night(past, settings)
    known = tuple(o for o in objectives if o.source != "feedback")
    anchor = anchor_of(champion)
    scorers = (*scorers, *_rarities(log, champion, settings))
    matrix = feature_matrix(log.decisions, scorers, known)
    columns = feature_columns(scorers, known)
    standardiser = Standardiser.fit(columns, matrix)
    problem = tuning_problem(
        log,
        objectives,
        columns,
        standardiser.apply(matrix),
        matrix,
        champion,
        anchor,
        floor=settings.floor,
        weight_clip=settings.weight_clip,
        horizon=horizon,
        nights=nights,
        counted=tuple(settings.diversity_floors),
        judged=judged,
    )
    kind: SegmentKind = "history" if settings.segments == "history" else "scene"

    def by_segment(done: MetaUpdate) -> SceneChoice | None:
        if settings.segments == "none" or settings.weights is not None or not done.result.moved:
            return None
        kept = _rounds_of(done, problem)
        users = scene_users(log.decisions.take(kept)) if kind == "scene" else None
        scene = segment_labels(log.decisions, kind)[kept]
        window, point = done.window, done.result.point
        return scene_choice(window, settings, scene, point, seed, described, users)

    done, scenes = _updated(before, problem, nights, settings, seed, by_segment)
    result, window = done.result, done.window
    serves = dict(zip(columns, problem.serves, strict=True))
    oldest = int(window.age.max())
    scene = segment_labels(log.decisions, kind)[_rounds_of(done, problem)]
    points = {} if scenes is None else scenes.points
    return TunedNight(
        policy=challenger(
            anchor, scorers, known, standardiser, result, settings.floor, points, kind
        )
        if result.moved
        else champion,
        update=done,
        weights=objective_weights(problem.names, result, serves, learned, weights),
        inputs=TuningInputs(window, scene, settings, seed),
        start=before.start(columns),
        scenes=scenes,
        record=record_of_night(past, elsewhere, problem, oldest, typed, nights[-1], seed)
        if typed.hyperparameters
        else None,
    )


def _updated(
    before: MetaState,
    problem: TuningProblem,
    nights: Sequence[str],
    settings: TuningSettings,
    seed: int,
    by_segment: Callable[[MetaUpdate], SceneChoice | None],
) -> tuple[MetaUpdate, SceneChoice | None]:
    """The common point, and those of segments where these are told apart.

    A common point may harm one segment that does well by a point of its own. So where segments may
    have some, the judged groups first limit what all are served together, and the common point only
    where it is served alone.
    """
    if settings.segments != "none" and settings.weights is None and problem.judged is not None:
        free = update(before, replace(problem, judged=None), nights, settings, seed)
        judged = problem.judged.rounds(_rounds_of(free, problem))
        free = replace(free, window=replace(free.window, judged=judged))
        scenes = by_segment(free)
        if (scenes is not None and scenes.points) or not _harms(free, settings):
            return free, scenes
    done = update(before, problem, nights, settings, seed)
    return done, by_segment(done)


def _harms(done: MetaUpdate, settings: TuningSettings) -> bool:
    """Whether the common point harms a judged group; the search with them differs only then."""
    task = TuningTask.of(done.window, settings)
    return done.result.moved and bool(task.harmed(task.policy.probabilities(done.result.point)))


def _rounds_of(done: MetaUpdate, problem: TuningProblem) -> NDArray[np.int64]:
    """Places of the window's rounds in the problem."""
    return np.flatnonzero(problem.age <= done.window.age.max())


def _rarities(log: BanditLog, champion: Policy, settings: TuningSettings) -> tuple[Rarity, ...]:
    """What a floor of an effective number is reached by, one a floor."""
    if not settings.diversity_floors:
        return ()
    shown = np.exp(champion.log_probabilities(log.decisions))
    return tuple(Rarity.of(kind, log.decisions, shown) for kind in settings.diversity_floors)


def _lifts(
    window: TuningProblem,
    settings: TuningSettings,
    result: TuningResult,
    scenes: SceneChoice | None,
) -> dict[str, TypedLift]:
    """At the chosen point; of scenes' points together, bounds hold for all points of all scenes.

    A scene without a decision is no part of the lift.
    """
    if scenes is None or not scenes.points:
        return at_point(window, settings, result.point, moved=result.moved).lifts
    coordinates = len(result.point) * (len(scenes.points) - len(scenes.unseen))
    z = certified_z(coordinates, len(window.names))
    return {name: typed_lift(lift, z) for name, lift in scenes.lifts.items()}
