"""The pessimistic gradient: of what a policy is worth at least, up to an error."""

from __future__ import annotations

import math

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms


class LogarithmicSmoothing(GradientLearner):
    """Maximises a lower confidence bound of a policy's value; see ``GradientLearner``.

    Of n decisions, with rewards r in [0, 1],

        term_i = log(1 + lambda w_i r_i) / lambda,    w_i = pi(a_i) / p_i,
        lambda = sqrt(2 log(1 / error) / n)

    E exp(sum_i log(1 + lambda w_i r_i)) = (1 + lambda V)^n <= exp(n lambda V), so by Markov's
    inequality the mean of the terms exceeds the value V by more than log(1 / error) / (n lambda)
    with a chance of at most ``error``: for any n, without a limit on the weights, for a policy that
    was fixed before the log. lambda is the best one where w r has a second moment of 1. Source:
    Sakhi, Aouali, Alquier and Chopin, Logarithmic smoothing for pessimistic off-policy evaluation,
    selection and learning, 2024, whose costs are our rewards with the sign changed.

    Rewards are counted from the lowest to the highest of the log, so what was never shown is worth
    the lowest, and what was seldom shown little more, however lucky it was. That is the pessimism:
    where the log cannot tell, it stays with what the logger did.
    """

    name = "logarithmic_smoothing"

    def epoch_terms(self, epoch: Epoch) -> Terms:
        """The same in every epoch."""
        error = epoch.settings.logarithmic_smoothing.error
        return smoothed_terms(epoch.feedback.reward, error)


def smoothed_terms(reward: torch.Tensor, error: float) -> Terms:
    """Terms of the bound in units of the reward, less the lowest reward.

    Args:
        reward: of every logged decision, shape (n,).
        error: of the bound.
    """
    lowest = float(reward.min())
    span = float(reward.max()) - lowest or 1.0
    rate = math.sqrt(2.0 * math.log(1.0 / error) / len(reward)) / span

    def terms(policy: BatchPolicy) -> torch.Tensor:
        return torch.log1p(rate * policy.weight() * (policy.logged.reward - lowest)) / rate

    return terms
