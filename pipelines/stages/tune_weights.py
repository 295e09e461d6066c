"""Tune the weights: the meta-update makes tonight's challenger out of heads and learned scores."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mrlm.messages.message import recorded
from pipelines.contract import checksums
from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.stage import Product
from pipelines.nights.champion import load_champion
from pipelines.nights.completed import read_completed
from pipelines.nights.lake import (
    log_fingerprints,
    read_catalog,
    read_scene_vectors,
    scene_fingerprint,
)
from pipelines.nights.plan import Plan, plan_of
from pipelines.nights.tuning_state import record_after, record_elsewhere, state_after
from pipelines.settings.model import FIXED_WEIGHTS

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.meta.problem.judged_groups import JudgedGroups
    from mrlm.meta.tuned_night import TunedNight
    from mrlm.policies.contract import Scorer

# What the weights were chosen on, for 'mrlm weights'; no stage reads it.
ROWS = "rows"


class TuneWeights:
    """Chooses the weights on the tune nights, never far from the champion."""

    name = "tune_weights"
    place: Literal["run"] = "run"
    sections = ("tuning", FIXED_WEIGHTS, "objectives", "split", "seed", "learning")
    form = 4

    def plan(self, context: NightContext) -> Plan:
        """The run's plan."""
        return plan_of(context)

    def inputs(self, context: NightContext, plan: Plan) -> dict[str, str]:
        """Reward model, learned policies, tune nights, champion, last night's meta-update."""
        found = log_fingerprints(context, plan.tune)
        for stage in ("learn_behaviour", "learn_policy"):
            found[stage] = context.run(stage).require().output_fingerprint()
        if plan.weights_from:
            before = context.run("tune_weights", plan.weights_from).require()
            found["state"] = before.output_fingerprint()
        if context.settings.tuning.segments == "scene":
            found |= scene_fingerprint(context)
        if context.settings.tuning.hyperparameter_record:
            found["hyperparameter_record"] = of_json(record_elsewhere(context).to_json())
        if context.settings.gate.groups == "enforce":
            found["judged_groups"] = of_json(_group_rule(context))
        return {**found, "champion": str(plan.champion)}

    def run(self, context: NightContext, plan: Plan, out: Path) -> Product:
        """Solve, make the challenger and save it with its catalogue."""
        from mrlm.learners.variant import learners_of
        from mrlm.meta.problem.tuning_inputs import save_tuning_inputs
        from mrlm.meta.tuned_night import tuned_night
        from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
        from mrlm.report.figures_as_text import weights_as_text

        log, estimated = read_completed(context, plan.tune)
        tuning, learning = context.settings.tuning, context.settings.learning
        learners = learners_of(learning)
        found = tuned_night(
            log,
            context.objectives,
            load_scorers(context),
            load_champion(context, plan.champion),
            state_after(context, plan.weights_from),
            tuning,
            nights=plan.tune,
            learned=[*learners, *tuning.baselines],
            horizon=tuple(n for n, one in learners.items() if one.looks_ahead(learning)),
            weights=tuning.weights or context.run("learn_policy").require().counts["weights"],
            seed=context.settings.seed,
            past=record_after(context, plan.weights_from),
            elsewhere=record_elsewhere(context),
            described=read_scene_vectors(context) if tuning.segments == "scene" else None,
            judged=_judged(context, log),
        )
        bundle = PolicyBundle(
            policy=found.policy,
            catalog=read_catalog(context),
            name="challenger",
            night=context.night,
            run_key=context.run_key,
            code_version=code_version(__name__),
            objectives=context.objectives,
            history_length=context.settings.state.history_length,
        )
        save_bundle(bundle, out / "bundle")
        documents = found.to_json()
        for name, document in documents.items():
            (out / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True))
        save_tuning_inputs(found.inputs, out / ROWS)
        log_of_night = context.log(self.name)
        if found.update.dropped:
            log_of_night.warning("what users want changed: %s", found.update.told)
        if found.scenes is not None:
            log_of_night.info("weights by scene: %s", found.scenes.reason)
        if found.record is not None:
            log_of_night.info("hyper-parameters: %s", found.record.told)
        weights = weights_as_text(found.weights)
        log_of_night.info("%s; objective weights: %s", found.result.reason, weights)
        return Product(
            outputs={"bundle": "bundle", **{name: f"{name}.json" for name in documents}},
            counts={
                **_counts(found),
                "propensities": "logged" if estimated is None else "estimated",
                # A manifest holds no checksums of what may be removed.
                ROWS: checksums.of_files(out / ROWS),
            },
            expiring=(ROWS,),
        )


def _counts(found: TunedNight) -> dict[str, Any]:
    """What later stages and tables read of the choice."""
    result = found.result
    limited_by = list(result.limited_by) if result.moved else None
    return {
        "weights": found.weights,
        "features": result.shares,
        "moved": result.moved,
        "reason": result.reason,
        "limited_by": limited_by,
        # Of the two, for pages in another language.
        "messages": recorded([result.reason, limited_by]),
        "strategies": {
            n: {"lift": r.printed.value, "lower": r.printed.lower}
            for n, r in found.strategies.items()
        },
        **({"scenes": list(found.scenes.points)} if found.scenes and found.scenes.points else {}),
        **({} if found.record is None else {"hyperparameters": found.record.told}),
        **({"floors": {n: asdict(f) for n, f in found.floors.items()}} if found.floors else {}),
    }


def _judged(context: NightContext, log: BanditLog) -> JudgedGroups | None:
    """The groups that the gate will refuse a challenger for; None where it refuses for none."""
    from mrlm.meta.problem.judged_groups import JudgedGroups

    if context.settings.gate.groups != "enforce":
        return None
    return JudgedGroups.of(log, *_group_rule(context))


def _group_rule(context: NightContext) -> tuple[int, float]:
    """Users of a group at least, and the error that groups share."""
    return context.settings.registry.least_users, context.settings.gate.group_error


def load_scorers(context: NightContext) -> tuple[Scorer, ...]:
    """Tonight's reward model, learned policies, and the simple baselines that are weighed too."""
    from mrlm.behaviour.ensemble.storage import load_reward_model
    from mrlm.learners.storage import load_baseline_scores, load_learned
    from mrlm.learners.variant import learners_of

    learned_at = context.run("learn_policy")
    learned = [load_learned(learned_at.path(n)) for n in learners_of(context.settings.learning)]
    names = context.settings.tuning.baselines
    return (
        load_reward_model(context.run("learn_behaviour").path("reward_model")),
        *learned,
        *load_baseline_scores(learned_at.path("baselines"), names),
    )


STAGE = TuneWeights()
