"""Policy optimisation for exponential models: the estimated value less its standard error."""

from __future__ import annotations

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.gradient_learner import GradientLearner, Terms


class Poem(GradientLearner):
    """Counterfactual risk minimisation with a penalty on variance; see ``GradientLearner``.

    With u_i = min(pi(a_i) / p_i, clip) r_i over n decisions it maximises

        mean(u) - penalty sqrt(var(u) / n)

    whose second part is no sum over decisions. In each epoch it maximises instead the best bound
    from below that is one, and touches it where the policy was before the epoch: the square root
    lies below its tangent, and so does minus the square of the mean. Every such step raises the
    objective itself. Source: Swaminathan and Joachims, Counterfactual risk minimization: learning
    from logged bandit feedback, 2015, their iterated majorisation of the variance.

    Decisions count as independent; where users make many each, the true standard error is larger.
    """

    name = "poem"

    def epoch_terms(self, epoch: Epoch) -> Terms:
        """Of the bound that touches where the network is now."""
        weighted = epoch.clipped_weights() * epoch.feedback.reward
        settings = epoch.settings
        return minorising_terms(weighted, settings.poem.variance_penalty, settings.weight_clip)


def minorising_terms(weighted: torch.Tensor, penalty: float, clip: float) -> Terms:
    """Terms whose mean is nowhere above the objective, and equal to it at ``weighted``.

    Where all ``weighted`` are equal the square root has no tangent: then there is no penalty.

    Args:
        weighted: u of every logged decision, shape (n,).
        penalty: standard errors that are taken from the mean.
        clip: largest weight.
    """
    n, u = len(weighted), weighted.double()
    mean, variance = float(u.mean()), float(u.var()) if n > 1 else 0.0
    price = penalty / n**0.5
    # sqrt(v) <= (sqrt(at) + v / sqrt(at)) / 2, and (n - 1) v <= sum of (u - mean)^2 for any mean.
    root = variance**0.5
    slope = price * n / (n - 1) / (2.0 * root) if root > 0.0 else 0.0
    constant = price * root / 2.0

    def terms(policy: BatchPolicy) -> torch.Tensor:
        own = policy.weight().clamp(max=clip) * policy.logged.reward
        return own - slope * (own - mean) ** 2 - constant

    return terms
