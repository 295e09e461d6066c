"""Policy optimisation for exponential models: the estimated value less its standard error."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy, log_weights
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms
from mrlm.learners.bandit.logged_feedback import FeedbackBatch, LoggedFeedback
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.settings import LearningSettings


@dataclass(frozen=True)
class Poem(GradientLearner):
    """Counterfactual risk minimisation with a penalty on variance; see ``GradientLearner``.

    With u_i = min(pi(a_i) / p_i, clip) r_i over n decisions it maximises

        mean(u) - penalty sqrt(var(u) / n)

    whose second part is no sum over decisions. In each epoch it maximises instead the best bound
    from below that is one, and touches it where the policy was before the epoch: the square root
    lies below its tangent, and so does minus the square of the mean. Every such step raises the
    objective itself. Source: Swaminathan and Joachims, Counterfactual risk minimization: learning
    from logged bandit feedback, 2015, equation 6 and proposition 2.

    Decisions count as independent; where users make many each, the true standard error is larger.
    """

    name: str = "poem"

    def epoch_terms(
        self, network: ScoreNetwork, feedback: LoggedFeedback, settings: LearningSettings
    ) -> Terms:
        """Of the bound that touches where the network is now."""
        weight = log_weights(network, feedback, settings)
        return minorising_terms(weight * feedback.reward, settings)


def minorising_terms(weighted: torch.Tensor, settings: LearningSettings) -> Terms:
    """Terms whose mean is nowhere above the objective, and equal to it at ``weighted``.

    Where all ``weighted`` are equal the square root has no tangent: then there is no penalty.

    Args:
        weighted: u of every logged decision, shape (n,).
        settings: clip and penalty.
    """
    n, u = len(weighted), weighted.double()
    mean, variance = float(u.mean()), float(u.var()) if n > 1 else 0.0
    penalty = settings.poem.variance_penalty / n**0.5
    # sqrt(v) <= (sqrt(at) + v / sqrt(at)) / 2, and (n - 1) v <= sum of (u - mean)^2 for any mean.
    root = variance**0.5
    slope = penalty * n / (n - 1) / (2.0 * root) if root > 0.0 else 0.0
    constant = penalty * root / 2.0

    def terms(policy: BatchPolicy, batch: FeedbackBatch) -> torch.Tensor:
        own = policy.weight(batch, settings.weight_clip) * batch.reward
        return own - slope * (own - mean) ** 2 - constant

    return terms
