"""Learn policies: offline reinforcement learning at last night's weights, and simple baselines."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.stage import Product
from pipelines.nights.completed import read_completed
from pipelines.nights.lake import log_fingerprints, shown_nights
from pipelines.nights.plan import Plan, plan_of, training_weights


class LearnPolicy:
    """Trains each learner of the settings on the fit nights, and fits the baselines."""

    name = "learn_policy"
    place: Literal["run"] = "run"
    sections = ("learning", "objectives", "split", "seed", "tuning")
    form = 2

    def plan(self, context: NightContext) -> Plan:
        """The run's plan."""
        return plan_of(context)

    def inputs(self, context: NightContext, plan: Plan) -> dict[str, str]:
        """The reward model, the bandit logs it was fitted on, and last night's weights."""
        behaviour = context.run("learn_behaviour").require()
        return {
            **log_fingerprints(context, plan.fit),
            "reward_model": behaviour.outputs["reward_model"].fingerprint,
            "weights": of_json(training_weights(context, plan)),
        }

    def run(self, context: NightContext, plan: Plan, out: Path) -> Product:
        """Train every learner and save what it learned, with the simple baselines."""
        from mrlm.behaviour.ensemble.storage import load_reward_model
        from mrlm.learners.baselines import fit_baselines
        from mrlm.learners.early_stop import learn_until_best
        from mrlm.learners.inputs import learning_sample
        from mrlm.learners.storage import save_baselines
        from mrlm.learners.variant import learners_of
        from mrlm.meta.training_weights.first_weights import first_weights
        from mrlm.metrics.curves import Curves
        from mrlm.report.figures_as_text import weights_as_text

        most = context.settings.split.fit_decisions
        log, estimated = read_completed(context, plan.fit, together=most)
        reward_model = load_reward_model(context.run("learn_behaviour").path("reward_model"))
        settings, seed = context.settings.learning, context.settings.seed
        weights = training_weights(context, plan)
        if weights is None:
            weights = first_weights(log, reward_model, context.settings.tuning, seed)
        sample = learning_sample(log, reward_model, weights, settings, seed)
        learners, passes, curves = learners_of(settings), {}, Curves()
        for name, learner in learners.items():
            told = weights_as_text(weights)
            context.log(self.name).info("%s at the objective weights %s", name, told)
            progress = partial(context.progress, f"{name} epochs")
            found = learn_until_best(learner, sample, settings, seed, progress, curves)
            passes[name] = found.told()
            (out / name).mkdir()
            found.scorer.save(out / name)
        # At the exploration of the policy that they are compared with.
        floor, star = context.settings.tuning.floor, context.north_star.name
        whole = shown_nights(context, plan.fit, log.decisions.catalog, most)
        save_baselines(fit_baselines(log, star, floor, whole), out / "baselines")
        return Product(
            outputs={name: name for name in (*learners, "baselines")},
            counts={
                "weights": weights,
                "learners": list(learners),
                "passes": passes,
                "curves": curves.points,
                "fit": plan.fit,
                "propensities": "logged" if estimated is None else "estimated",
            },
        )


STAGE = LearnPolicy()
