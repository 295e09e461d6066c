"""The gradient of the importance-weighted reward, with clipped weights."""

from __future__ import annotations

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms


class IpsGradient(GradientLearner):
    """Maximises the inverse propensity estimate of a policy's value; see ``GradientLearner``.

        term_i = min(pi(a_i) / p_i, clip) r_i

    It needs propensities and nothing else: expected rewards only stand in where a reward is not
    known. Source: Bottou et al., Counterfactual reasoning and learning systems, 2013.
    Rewards are counted from the mean of the log, since the estimate is not indifferent to where
    they are counted from (Swaminathan and Joachims, The self-normalized estimator for
    counterfactual learning, 2015): far above 0 it imitates the logger, far below it avoids it.
    """

    name = "ips_gradient"

    def epoch_terms(self, epoch: Epoch) -> Terms:
        """The same in every epoch."""
        return importance_weighted_terms(epoch.settings.weight_clip)


def importance_weighted_terms(clip: float) -> Terms:
    """The terms at the largest weight ``clip``."""

    def terms(policy: BatchPolicy) -> torch.Tensor:
        return policy.weight().clamp(max=clip) * policy.logged.reward

    return terms
