"""The gradient of the self-normalised importance-weighted reward."""

from __future__ import annotations

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms


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

    name = "snips_gradient"

    def epoch_terms(self, epoch: Epoch) -> Terms:
        """With the sums over the whole log as the network is now."""
        weight = epoch.clipped_weights()
        return self_normalised_terms(weight, epoch.feedback.reward, epoch.settings.weight_clip)


def self_normalised_terms(weight: torch.Tensor, reward: torch.Tensor, clip: float) -> Terms:
    """Terms whose gradient is that of the self-normalised value at these weights.

    Args:
        weight: of every logged decision, shape (n,), not all 0.
        reward: shape (n,).
        clip: largest weight.
    """
    # Sums in double precision: the value is held for a whole epoch.
    mean = weight.double().mean()
    value = (weight.double() * reward).mean() / mean

    def terms(policy: BatchPolicy) -> torch.Tensor:
        centred = (policy.logged.reward - value) / mean
        return policy.weight().clamp(max=clip) * centred.to(policy.logged.reward.dtype)

    return terms
