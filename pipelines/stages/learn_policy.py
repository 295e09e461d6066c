"""Learn policies: offline reinforcement learning at the weights that last night left."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Literal

from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.stage import Product, read_output, require
from pipelines.nights.completed import read_completed
from pipelines.nights.lake import log_fingerprints
from pipelines.nights.plan import plan_of


class LearnPolicy:
    """Trains each learner of the settings on the fit nights."""

    name = "learn_policy"
    place: Literal["run"] = "run"
    sections = ("learning", "objectives", "split", "seed", "tuning")
    form = 1

    def inputs(self, context: NightContext) -> dict[str, str]:
        """The reward model, the bandit logs it was fitted on, and last night's weights."""
        plan = plan_of(context)
        folder = context.workspace.run_stage(context.run_key, "learn_behaviour")
        behaviour = require(folder, "learn_behaviour", context.night)
        return {
            **log_fingerprints(context, plan.fit),
            "reward_model": behaviour.outputs["reward_model"].fingerprint,
            "weights": of_json(training_weights(context)),
        }

    def run(self, context: NightContext, out: Path) -> Product:
        """Train every learner and save what it learned."""
        from mrlm.behaviour.model import load_reward_model
        from mrlm.learners.inputs import learning_sample
        from mrlm.learners.registry import LEARNERS
        from mrlm.report.figures_as_text import weights_as_text

        plan = plan_of(context)
        log, estimated = read_completed(context, plan.fit)
        folder = context.workspace.run_stage(context.run_key, "learn_behaviour")
        reward_model = load_reward_model(read_output(folder, "reward_model"))
        weights = training_weights(context)
        settings, seed = context.settings.learning, context.settings.seed
        sample = learning_sample(log, reward_model, weights, settings, seed)
        for name in settings.learners:
            told = weights_as_text(weights)
            context.log(self.name).info("%s at the objective weights %s", name, told)
            progress = partial(context.progress, f"{name} epochs")
            scorer = LEARNERS[name].learn(sample, settings, seed, progress)
            (out / name).mkdir()
            scorer.save(out / name)
        return Product(
            outputs={name: name for name in settings.learners},
            counts={
                "weights": weights,
                "learners": settings.learners,
                "fit": plan.fit,
                "propensities": "logged" if estimated is None else "estimated",
            },
        )


def training_weights(context: NightContext) -> dict[str, float]:
    """Objective weights on the simplex: by hand, else last night's, else equal."""
    from mrlm.meta.scalarise import objective_weights

    names = [o.name for o in context.objectives]
    fixed = context.settings.tuning.weights
    if fixed:
        return objective_weights(names, previous=fixed)
    plan = plan_of(context)
    if not plan.weights_from:
        return objective_weights(names)
    folder = context.workspace.run_stage(plan.weights_from, "tune_weights")
    path = read_output(folder, "weights.json")
    return objective_weights(names, previous=json.loads(path.read_text())["objectives"])


STAGE = LearnPolicy()
