"""A doubly robust off-policy policy gradient over candidate sets."""

from __future__ import annotations

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms


class PolicyGradient(GradientLearner):
    """Maximises the doubly robust value of a softmax policy; see ``GradientLearner``.

    For decision i with logged propensity p_i, cross-fitted values q and floored policy pi:

        term_i = sum_a pi(a) q(a) + min(pi(a_i) / p_i, clip) (r_i - q(a_i))

    The first sum is over the whole candidate set, so its gradient is exact; the second is the
    weighted residual of the shown item, and is 0 in expectation where q is right. Source: Dudik et
    al., Doubly robust policy evaluation and optimization, 2014.
    """

    name = "policy_gradient"

    def epoch_terms(self, epoch: Epoch) -> Terms:
        """The same in every epoch."""
        return doubly_robust_terms(epoch.settings.weight_clip)


def doubly_robust_terms(clip: float) -> Terms:
    """The terms at the largest weight ``clip``."""

    def terms(policy: BatchPolicy) -> torch.Tensor:
        return policy.value() + policy.weight().clamp(max=clip) * policy.logged.residual

    return terms
