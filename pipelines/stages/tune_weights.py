"""Tune the weights: the meta-update makes tonight's challenger out of heads and learned scores."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Objective
from mrlm.bandit_log.known_rewards import known_rewards
from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.registry import place_of
from pipelines.contract.stage import Product, read_output, require
from pipelines.failures.errors import DataError
from pipelines.nights.completed import read_completed
from pipelines.nights.lake import log_fingerprints, read_catalog
from pipelines.nights.plan import plan_of
from pipelines.stages.learn_policy import training_weights

if TYPE_CHECKING:
    from mrlm.meta.problem import TuningProblem
    from mrlm.meta.weights import TuningResult
    from mrlm.policies.contract import Policy, Scorer
    from mrlm.policies.standardise import Standardiser

# A champion nested deeper than this in anchors of its own is replaced, as an anchor, by its root.
_MAX_DEPTH = 3

# Batches of other sizes round differently; another model differs by far more.
_SAME_VECTOR = 0.05

# Share of the scale below which a weight is the solver's rounding.
_NO_WEIGHT = 1e-6


class TuneWeights:
    """Chooses the weights on the tune nights, never far from the champion."""

    name = "tune_weights"
    place: Literal["run"] = "run"
    sections = ("tuning", "objectives", "split", "seed", "learning")
    form = 1

    def inputs(self, context: NightContext) -> dict[str, str]:
        """Reward model, learned policies, tune nights, champion."""
        plan = plan_of(context)
        found = log_fingerprints(context, plan.tune)
        for stage in ("learn_behaviour", "learn_policy"):
            folder = context.workspace.run_stage(context.run_key, stage)
            found[stage] = require(folder, stage, context.night).output_fingerprint()
        return {
            **found,
            "champion": str(plan.champion),
            "weights": of_json(training_weights(context)),
        }

    def run(self, context: NightContext, out: Path) -> Product:
        """Solve, make the challenger and save it with its catalogue."""
        from mrlm.meta.pareto import pareto
        from mrlm.meta.scalarise import objective_weights
        from mrlm.meta.tune import tune
        from mrlm.policies.features import feature_matrix
        from mrlm.policies.standardise import Standardiser
        from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
        from mrlm.report.figures_as_text import weights_as_text

        plan = plan_of(context)
        log, estimated = read_completed(context, plan.tune)
        scorers = load_scorers(context)
        known = tuple(o for o in context.objectives if o.source != "feedback")
        champion = load_champion(context, plan.champion)
        anchor = _anchor(champion)
        matrix = feature_matrix(log.decisions, scorers, known)
        columns = tuple(c for s in scorers for c in s.columns) + tuple(o.name for o in known)
        standardiser = Standardiser.fit(columns, matrix)
        problem = _problem(
            context, log, columns, standardiser.apply(matrix), matrix, champion, anchor
        )
        result = tune(
            problem, context.settings.tuning, _previous(context, columns), context.settings.seed
        )
        # Where nothing was found the challenger is the champion, to its exploration floor.
        challenger = (
            _challenger(context, anchor, scorers, known, standardiser, result)
            if result.moved
            else champion
        )
        weights = objective_weights(
            problem.names,
            result,
            dict(zip(columns, problem.serves, strict=True)),
            context.settings.learning.learners,
            training_weights(context),
        )
        front = pareto(problem, result.kappa, max(result.scale, 1.0))
        bundle = PolicyBundle(
            policy=challenger,
            catalog=read_catalog(context),
            name="challenger",
            night=context.night,
            run_key=context.run_key,
            code_version=code_version(__name__),
            objectives=context.objectives,
        )
        save_bundle(bundle, out / "bundle")
        weighed = {"objectives": weights, "point": result.point.tolist(), "columns": list(columns)}
        (out / "weights.json").write_text(json.dumps(weighed, indent=1, sort_keys=True))
        (out / "tuning.json").write_text(json.dumps(result.to_json(), indent=1, sort_keys=True))
        points = [asdict(p) for p in front]
        (out / "pareto.json").write_text(json.dumps(points, indent=1, sort_keys=True))
        told = weights_as_text(weights)
        context.log(self.name).info("%s; objective weights: %s", result.reason, told)
        return Product(
            outputs={
                "bundle": "bundle",
                "weights": "weights.json",
                "tuning": "tuning.json",
                "pareto": "pareto.json",
            },
            counts={
                "weights": weights,
                "features": result.shares,
                "moved": result.moved,
                "reason": result.reason,
                "propensities": "logged" if estimated is None else "estimated",
            },
        )


def load_scorers(context: NightContext) -> tuple[Scorer, ...]:
    """Tonight's reward model and learned policies."""
    from mrlm.behaviour.model import load_reward_model
    from mrlm.learners.storage import load_learned

    def made(stage: str, name: str) -> Path:
        return read_output(context.workspace.run_stage(context.run_key, stage), name)

    names = context.settings.learning.learners
    learned = [load_learned(made("learn_policy", n)) for n in names]
    return (load_reward_model(made("learn_behaviour", "reward_model")), *learned)


def load_champion(context: NightContext, version: int) -> Policy:
    """The policy of a registered version, to be used with tonight's catalogue.

    Raises:
        DataError: tonight's embeddings are not those that the policy was trained on.
    """
    from mrlm.promotion.registry.versions import version_folder
    from mrlm.promotion.serving.bundle import load_bundle

    folder = version_folder(place_of(context.settings, context.workspace), version)
    bundle = load_bundle(folder / "artifacts" / "bundle")
    if bundle.catalog.embedding is not None:
        _check_same_encoder(bundle.catalog, read_catalog(context), version)
    return bundle.policy


def _check_same_encoder(before: Catalog, tonight: Catalog, version: int) -> None:
    """A champion that is fed another model's vectors would look worse than the one that serves."""
    code = tonight.codes(before.item_id)
    both = np.flatnonzero(code >= 0)
    both = both[before.text[both] == tonight.text[code[both]]]
    old, new = before.embedding, tonight.embedding
    if old is None or new is None or len(both) == 0:
        return
    if old.shape[1] != new.shape[1] or np.abs(old[both] - new[code[both]]).max() > _SAME_VECTOR:
        raise DataError(
            f"champion version {version} was trained on the embeddings of another model than "
            "embedding.model names now; keep the model, or start a registry of its own for the "
            "new one (registry.model) with 'mrlm bootstrap'"
        )


def predictions(
    log: BanditLog, objectives: tuple[Objective, ...], reward_model: Scorer
) -> NDArray[np.float64]:
    """Predicted reward of every candidate for every objective, float64, shape (N, m).

    Objectives known from the item or the list are exact.
    """
    scores = reward_model.score(log.decisions)
    return _by_objective(log, objectives, dict(zip(reward_model.columns, scores.T, strict=True)))


def _by_objective(
    log: BanditLog, objectives: tuple[Objective, ...], heads: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    columns = [
        heads[o.name] if o.source == "feedback" else known_rewards(log.decisions, o)
        for o in objectives
    ]
    return np.stack(columns, axis=1)


def _challenger(
    context: NightContext,
    anchor: Policy,
    scorers: tuple[Scorer, ...],
    known: tuple[Objective, ...],
    standardiser: Standardiser,
    result: TuningResult,
) -> Policy:
    """The tuned policy without what got no weight: it costs time with every request."""
    from mrlm.policies.features import feature_columns
    from mrlm.policies.tuned import Tuned

    least = _NO_WEIGHT * max(result.scale, 1.0)
    weighed = {c for c, t in zip(result.columns, result.theta, strict=True) if abs(t) > least}
    scorers = tuple(s for s in scorers if weighed & set(s.columns))
    known = tuple(o for o in known if o.name in weighed)
    kept = feature_columns(scorers, known)
    theta = dict(zip(result.columns, result.theta, strict=True))
    return Tuned(
        anchor=anchor,
        scorers=scorers,
        known=known,
        standardiser=standardiser.select(kept),
        kappa=result.kappa,
        theta=np.array([theta[c] if c in weighed else 0.0 for c in kept]),
        floor=context.settings.tuning.floor,
    )


def _anchor(champion: Policy) -> Policy:
    from mrlm.policies.tuned import Tuned

    if not isinstance(champion, Tuned) or champion.depth < _MAX_DEPTH:
        return champion
    root: Policy = champion
    while isinstance(root, Tuned):
        root = root.anchor
    return root


def _problem(
    context: NightContext,
    log: BanditLog,
    columns: tuple[str, ...],
    features: NDArray[np.float64],
    matrix: NDArray[np.float64],
    champion: Policy,
    anchor: Policy,
) -> TuningProblem:
    from mrlm.meta.problem import TuningProblem
    from mrlm.policies.floor import with_floor

    offsets = log.decisions.offsets
    core = champion.core_log_probabilities(log.decisions)
    names = {o.name for o in context.objectives}
    heads = {c: matrix[:, j] for j, c in enumerate(columns)}
    return TuningProblem(
        offsets=offsets,
        shown=log.shown,
        propensity=log.propensity,
        cluster=log.decisions.user,
        features=features,
        columns=columns,
        serves=tuple(c if c in names else None for c in columns),
        log_anchor=core if anchor is champion else anchor.core_log_probabilities(log.decisions),
        champion=np.exp(with_floor(core, offsets, champion.floor)),
        rewards=np.where(log.final, log.rewards, np.nan),
        q=_by_objective(log, context.objectives, heads),
        objectives=context.objectives,
        floor=context.settings.tuning.floor,
        weight_clip=context.settings.tuning.weight_clip,
    )


def _previous(context: NightContext, columns: tuple[str, ...]) -> NDArray[np.float64] | None:
    """Last night's point, if it is over the same features."""
    source = plan_of(context).weights_from
    if not source:
        return None
    path = read_output(context.workspace.run_stage(source, "tune_weights"), "weights.json")
    data: dict[str, Any] = json.loads(path.read_text())
    return np.array(data["point"]) if data["columns"] == list(columns) else None


STAGE = TuneWeights()
