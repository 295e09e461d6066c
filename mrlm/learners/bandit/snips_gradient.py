"""The gradient of the self-normalised importance-weighted reward."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy, log_weights
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms
from mrlm.learners.bandit.logged_feedback import FeedbackBatch, LoggedFeedback
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.settings import LearningSettings


@dataclass(frozen=True)
class SnipsGradient(GradientLearner):
    """Maximises the self-normalised estimate of a policy's value; see ``GradientLearner``.

        value = sum_i w_i r_i / sum_i w_i,    w_i = min(pi(a_i) / p_i, clip)
        term_i = w_i (r_i - value) / mean(w)

    The ratio of two sums is no mean over decisions, and the ratio of a batch's sums is another
    estimate, biased the more the smaller the batch. But its gradient is that of the terms, with
    ``value`` and ``mean(w)`` held at what they are over the whole log; they are computed anew
    before every epoch. Adding a constant to all rewards changes nothing. Sources: Swaminathan and
    Joachims, The self-normalized estimator for counterfactual learning, 2015; ratios by their
    parametric difference, Dinkelbach, On nonlinear fractional programming, 1967.
    """

    name: str = "snips_gradient"

    def epoch_terms(
        self, network: ScoreNetwork, feedback: LoggedFeedback, settings: LearningSettings
    ) -> Terms:
        """With the sums over the whole log as the network is now."""
        weight = log_weights(network, feedback, settings)
        return self_normalised_terms(weight, feedback.reward, settings)


def self_normalised_terms(
    weight: torch.Tensor, reward: torch.Tensor, settings: LearningSettings
) -> Terms:
    """Terms whose gradient is that of the self-normalised value at these weights.

    Args:
        weight: of every logged decision, shape (n,), not all 0.
        reward: shape (n,).
        settings: clip of the weights.
    """
    # Sums in double precision: the value is held for a whole epoch.
    mean = weight.double().mean()
    value = (weight.double() * reward).mean() / mean

    def terms(policy: BatchPolicy, batch: FeedbackBatch) -> torch.Tensor:
        centred = (batch.reward - value) / mean
        return policy.weight(batch, settings.weight_clip) * centred.to(batch.reward.dtype)

    return terms
