"""A doubly robust off-policy policy gradient over candidate sets."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms
from mrlm.learners.bandit.logged_feedback import FeedbackBatch, LoggedFeedback
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.settings import LearningSettings


@dataclass(frozen=True)
class PolicyGradient(GradientLearner):
    """Maximises the doubly robust value of a softmax policy; see ``GradientLearner``.

    For decision i with logged propensity p_i, cross-fitted values q and floored policy pi:

        term_i = sum_a pi(a) q(a) + min(pi(a_i) / p_i, clip) (r_i - q(a_i))

    The first sum is over the whole candidate set, so its gradient is exact; the second is the
    weighted residual of the shown item, and is 0 in expectation where q is right. Source: Dudik et
    al., Doubly robust policy evaluation and optimization, 2014.
    """

    name: str = "policy_gradient"

    def epoch_terms(
        self, network: ScoreNetwork, feedback: LoggedFeedback, settings: LearningSettings
    ) -> Terms:
        """The same in every epoch."""

        def terms(policy: BatchPolicy, batch: FeedbackBatch) -> torch.Tensor:
            return policy.value(batch) + policy.weight(batch, settings.weight_clip) * batch.residual

        return terms
