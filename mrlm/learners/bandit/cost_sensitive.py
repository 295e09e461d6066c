"""Policy learning reduced to cost-sensitive regression over candidate sets."""

from __future__ import annotations

import torch

from mrlm.learners.bandit.bandit_learner import BanditLearner
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.logged_feedback import FeedbackBatch
from mrlm.learners.training_loop import BatchLoss


class CostSensitive(BanditLearner):
    """Fits every candidate's doubly robust reward; the best of a set is the one with the highest.

    The log says the reward of one candidate. The doubly robust estimate

        R_i(a) = q(a) + [a = a_i] (r_i - q(a_i)) / p_i

    says one of every candidate, whose expectation is the true reward, and so makes of the log a
    cost-sensitive classification with costs -R (Dudik et al., Doubly robust policy evaluation and
    optimization, 2014). It is solved by regression, one against all: least squares of
    differences within the set, mean_a ((f(a) - mean f) - (R(a) - mean R))^2, which is convex in the
    scores and counts all candidates alike, whatever the logger preferred. 1 / p is at most ``clip``
    times the size of the set, since 1 / (size p) is the weight of the uniform policy. The score is
    the fitted reward over ``value_temperature``.
    """

    name = "cost_sensitive"

    def epoch_loss(self, epoch: Epoch) -> BatchLoss:
        """The same in every epoch; see ``BanditLearner``."""

        def loss(rows: torch.Tensor) -> torch.Tensor:
            scores, logged = epoch.feedback.batch(epoch.network, rows)
            rewards = robust_rewards(logged, epoch.settings.weight_clip)
            return contrast_loss(scores, rewards, logged.mask)

        return loss

    def logits(self, epoch: Epoch) -> float:
        """A score is a reward in standard deviations; it is served over ``value_temperature``."""
        return 1.0 / epoch.settings.value_temperature


def robust_rewards(batch: FeedbackBatch, clip: float) -> torch.Tensor:
    """Doubly robust reward of every candidate, shape (b, k); 0 on pads."""
    rewards = torch.where(batch.mask, batch.value, 0.0)
    correction = batch.inverse_propensity(clip) * batch.residual
    return rewards.scatter_add(1, batch.action[:, None], correction[:, None])


def contrast_loss(scores: torch.Tensor, rewards: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared error of differences within each set, mean over a batch, a scalar.

    Args:
        scores: shape (b, k), anything on pads.
        rewards: shape (b, k), 0 on pads.
        mask: bool, shape (b, k), False on pads.
    """
    size = mask.sum(1, keepdim=True)
    error = torch.where(mask, scores - rewards, 0.0)
    centred = torch.where(mask, error - error.sum(1, keepdim=True) / size, 0.0)
    return (centred.square().sum(1) / size[:, 0]).mean()
