"""Add a policy learner of your own, and compare its policy with the logger.

Run it with ``.venv/bin/python examples/add_learner.py``. CONTRIBUTING.md says how a learner gets a
name in the settings, so that a night trains it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mrlm import (
    ESTIMATORS,
    LEARNERS,
    BehaviourSettings,
    EvaluationBatch,
    EvaluationState,
    LearnedPolicy,
    LearningSettings,
    difference,
    estimates,
    fit_reward_model,
    latent_log,
    learning_sample,
)
from mrlm.learners import (
    CandidateSets,
    EpochDone,
    LearnedScorer,
    Learner,
    LearningSample,
    make_score_network,
    train_by_batches,
)


# A learner reads the night's sample and gives a scorer: one number a candidate. The night's
# meta-update weighs that score beside the reward model's predictions; it need not be a policy.
@dataclass(frozen=True)
class WeightedImitation:
    """Imitates what was shown, in proportion to the reward that it earned.

    Minimises the mean of ``-w r log pi(shown)``, where r is the scalar reward above its average and
    w the clipped weight 1 / propensity (reward-weighted regression, Peters and Schaal, 2007).
    """

    name: str = "weighted_imitation"

    def looks_ahead(self, settings: LearningSettings) -> bool:
        """A decision is judged by its own reward."""
        return False

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> LearnedScorer:
        """Learn on the fit nights; the same arguments give the same weights to the bit."""
        log, inputs = sample.log, sample.inputs
        # The network starts from the reward model's expected reward and learns what to add to it.
        network = make_score_network(inputs.features, settings, seed, gain=1.0)
        sets = CandidateSets(inputs.features, log.decisions.offsets)
        # Expected reward of what was shown, by a model that never saw this user, plus the surprise.
        reward = inputs.value[log.shown] + inputs.residual
        weight = np.minimum(1.0 / log.propensity, settings.weight_clip)
        gain = torch.from_numpy((np.maximum(reward, 0.0) * weight).astype(np.float32))
        action = torch.from_numpy(log.action)

        def loss(index: torch.Tensor) -> torch.Tensor:
            log_policy = torch.log_softmax(sets.scores(network, *sets.places(index)), dim=1)
            shown = log_policy.gather(1, action[index][:, None])[:, 0]
            return -(gain[index] * shown).mean()

        # All that is random comes from the seed, and nothing of the process changes.
        train_by_batches(network, len(log), lambda: loss, settings, seed, progress=progress)
        # Scores are the logits of a softmax. Imitation shows each item in proportion to its reward;
        # six times the logits prefer clearly what is better.
        network.rescale(6.0)
        return LearnedScorer(self.name, network, sample.reward_model, sample.scalarisation)


def main() -> None:
    """Learn on four nights of a made world, and judge the policies on the two nights after."""
    log, truth = latent_log(n_users=300, decisions_per_user=12, n_candidates=6, seed=3)
    nights = sorted({str(night) for night in log.night})
    fit, later = log.on_nights(nights[:4]), log.on_nights(nights[4:])
    true = truth[np.repeat(np.isin(log.night, later.night), 6), 0]

    # The reward model gives learners their features and the values they start from.
    sizes = BehaviourSettings(folds=2, components=6, hidden=16, projection=4, epochs=8)
    model = fit_reward_model(fit, sizes, seed=1)
    settings = LearningSettings(hidden=16, projection=4, batch_size=64, epochs=3)
    sample = learning_sample(fit, model, {"like": 1.0}, settings, seed=1)
    predicted = model.score(later.decisions)
    q = predicted[:, [model.columns.index(o.name) for o in later.objectives]]

    logger = later.candidate_propensity
    dr = ESTIMATORS["dr"]
    for learner in (WeightedImitation(), LEARNERS["policy_gradient"]):
        assert isinstance(learner, Learner)
        scorer = learner.learn(sample, settings, seed=1)
        policy = LearnedPolicy(scorer, temperature=1.0, floor=0.1, name=learner.name)
        # Nights that nothing was learned from: the paired difference, policy minus logger.
        chance = np.exp(policy.log_probabilities(later.decisions))
        gain = difference(
            dr(EvaluationBatch.from_log(later, chance, q, policy=policy.name)),
            dr(EvaluationBatch.from_log(later, logger, q, policy="logger")),
        )
        like = estimates(EvaluationState.of(gain))["like"]
        print(
            f"{like.policy:<26} {like.value:+.3f} [{like.lower:+.3f}, {like.upper:+.3f}]; "
            f"the truth is {(chance - logger) @ true / len(later):+.3f}"
        )


if __name__ == "__main__":
    main()
