"""The gradient of the importance-weighted reward, with clipped weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms
from mrlm.learners.bandit.logged_feedback import FeedbackBatch, LoggedFeedback
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.settings import LearningSettings


@dataclass(frozen=True)
class IpsGradient(GradientLearner):
    """Maximises the inverse propensity estimate of a policy's value; see ``GradientLearner``.

        term_i = min(pi(a_i) / p_i, clip) r_i

    It needs propensities and nothing else: expected rewards only stand in where a reward is not
    known. Source: Bottou et al., Counterfactual reasoning and learning systems, 2013, section 4.
    Rewards are counted from the mean of the log, since the estimate is not indifferent to where
    they are counted from (Swaminathan and Joachims, The self-normalized estimator for
    counterfactual learning, 2015): far above 0 it imitates the logger, far below it avoids it.
    """

    name: str = "ips_gradient"

    def epoch_terms(
        self, network: ScoreNetwork, feedback: LoggedFeedback, settings: LearningSettings
    ) -> Terms:
        """The same in every epoch."""

        def terms(policy: BatchPolicy, batch: FeedbackBatch) -> torch.Tensor:
            return policy.weight(batch, settings.weight_clip) * batch.reward

        return terms
