"""Tune the weights: the meta-update makes tonight's challenger out of heads and learned scores."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.contract import checksums
from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.stage import Product
from pipelines.nights.champion import load_champion
from pipelines.nights.completed import read_completed
from pipelines.nights.lake import log_fingerprints, read_catalog
from pipelines.nights.plan import Plan, plan_of
from pipelines.nights.tuning_state import state_after
from pipelines.settings.model import FIXED_WEIGHTS

if TYPE_CHECKING:
    from mrlm.policies.contract import Scorer

# What the weights were chosen on, for 'mrlm weights'; no stage reads it.
ROWS = "rows"


class TuneWeights:
    """Chooses the weights on the tune nights, never far from the champion."""

    name = "tune_weights"
    place: Literal["run"] = "run"
    sections = ("tuning", FIXED_WEIGHTS, "objectives", "split", "seed", "learning")
    form = 3

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
        return {**found, "champion": str(plan.champion)}

    def run(self, context: NightContext, plan: Plan, out: Path) -> Product:
        """Solve, make the challenger and save it with its catalogue."""
        from mrlm.learners.registry import LEARNERS
        from mrlm.meta.challenger import anchor_of, challenger, tuning_problem
        from mrlm.meta.pareto import pareto
        from mrlm.meta.scalarise import objective_weights
        from mrlm.meta.tune import counterfactuals
        from mrlm.meta.tuning_inputs import TuningInputs, save_tuning_inputs
        from mrlm.meta.update import update
        from mrlm.meta.what_if import at_point
        from mrlm.policies.features import feature_matrix
        from mrlm.policies.standardise import Standardiser
        from mrlm.promotion.serving.bundle import PolicyBundle, save_bundle
        from mrlm.report.figures_as_text import weights_as_text

        log, estimated = read_completed(context, plan.tune)
        scorers = load_scorers(context)
        known = tuple(o for o in context.objectives if o.source != "feedback")
        champion = load_champion(context, plan.champion)
        anchor = anchor_of(champion)
        matrix = feature_matrix(log.decisions, scorers, known)
        columns = tuple(c for s in scorers for c in s.columns) + tuple(o.name for o in known)
        standardiser = Standardiser.fit(columns, matrix)
        tuning, learning = context.settings.tuning, context.settings.learning
        problem = tuning_problem(
            log,
            context.objectives,
            columns,
            standardiser.apply(matrix),
            matrix,
            champion,
            anchor,
            floor=tuning.floor,
            weight_clip=tuning.weight_clip,
            horizon=tuple(n for n in learning.learners if LEARNERS[n].looks_ahead(learning)),
            nights=plan.tune,
        )
        before, seed = state_after(context, plan.weights_from), context.settings.seed
        done = update(before, problem, plan.tune, tuning, seed)
        result = done.result
        others = counterfactuals(done.window, tuning, before.start(columns), seed, result)
        # Where nothing was found the challenger is the champion, to its exploration floor.
        policy = (
            challenger(anchor, scorers, known, standardiser, result, tuning.floor)
            if result.moved
            else champion
        )
        weights = objective_weights(
            problem.names,
            result,
            dict(zip(columns, problem.serves, strict=True)),
            learning.learners,
            tuning.weights or context.run("learn_policy").require().counts["weights"],
        )
        lifts = at_point(done.window, tuning, result.point, moved=result.moved).lifts
        front = pareto(done.window, result.kappa, max(result.scale, 1.0))
        bundle = PolicyBundle(
            policy=policy,
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
        told = {
            **done.to_json(),
            "strategies": {n: r.to_json() for n, r in others.items()},
            "lifts": {n: asdict(x) for n, x in lifts.items()},
        }
        (out / "tuning.json").write_text(json.dumps(told, indent=1, sort_keys=True))
        state = json.dumps(done.state.to_json(), indent=1, sort_keys=True)
        (out / "state.json").write_text(state)
        scene = log.decisions.scene[problem.age <= done.window.age.max()]
        save_tuning_inputs(TuningInputs(done.window, scene, tuning, seed), out / ROWS)
        points = [asdict(p) for p in front]
        (out / "pareto.json").write_text(json.dumps(points, indent=1, sort_keys=True))
        if done.dropped:
            context.log(self.name).warning("what users want changed: %s", done.told)
        context.log(self.name).info(
            "%s; objective weights: %s", result.reason, weights_as_text(weights)
        )
        return Product(
            outputs={
                "bundle": "bundle",
                "weights": "weights.json",
                "tuning": "tuning.json",
                "pareto": "pareto.json",
                "state": "state.json",
            },
            counts={
                "weights": weights,
                "features": result.shares,
                "moved": result.moved,
                "reason": result.reason,
                "limited_by": list(result.limited_by) if result.moved else None,
                "strategies": {
                    n: {"lift": r.printed.value, "lower": r.printed.lower}
                    for n, r in others.items()
                },
                "propensities": "logged" if estimated is None else "estimated",
                # A manifest holds no checksums of what may be removed.
                ROWS: checksums.of_files(out / ROWS),
            },
            expiring=(ROWS,),
        )


def load_scorers(context: NightContext) -> tuple[Scorer, ...]:
    """Tonight's reward model and learned policies."""
    from mrlm.behaviour.reward_model import load_reward_model
    from mrlm.learners.storage import load_learned

    names = context.settings.learning.learners
    learned = [load_learned(context.run("learn_policy").path(n)) for n in names]
    return (load_reward_model(context.run("learn_behaviour").path("reward_model")), *learned)


STAGE = TuneWeights()
