"""Policy learning reduced to classification, weighted by what was earned over its chance."""

from __future__ import annotations

import torch

from mrlm.learners.bandit.bandit_learner import BanditLearner
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.logged_feedback import FeedbackBatch
from mrlm.learners.training_loop import BatchLoss


class WeightedClassification(BanditLearner):
    """Imitates what was shown, in proportion to its reward over its propensity.

    Minimises the mean of - (r_i - lowest) / p_i log softmax(score)(a_i) over the log, which is
    convex in the scores. Whatever the logger preferred, its least is where the softmax of a set is
    in proportion to the expected rewards above the lowest one; so the best candidate of a set is
    the one with the highest score. It learns fastest where one candidate of a set earns and all
    others do not, as in classification; where all earn something, ``cost_sensitive`` sees smaller
    differences. 1 / p is at most ``clip`` times the size of the set. Sources: Zadrozny, Langford
    and Abe, Cost-sensitive learning by cost-proportionate example weighting, 2003; for logged
    bandits, Beygelzimer and Langford, The offset tree for learning with partial labels, 2009.

    A score is the logarithm of an expected reward. Times the mean reward above the lowest it is
    about the reward itself, and that over ``value_temperature`` is what is served.
    """

    name = "weighted_classification"

    def epoch_loss(self, epoch: Epoch) -> BatchLoss:
        """The same in every epoch; see ``BanditLearner``."""
        gain = epoch.feedback.reward - epoch.feedback.reward.min()
        mean = float(gain.mean()) or 1.0

        def loss(rows: torch.Tensor) -> torch.Tensor:
            # What earned nothing has no weight and need not be scored; one row gives the gradient.
            earned = rows[gain[rows] > 0]
            scores, logged = epoch.feedback.batch(
                epoch.network, earned if len(earned) else rows[:1]
            )
            own = weighted_log_loss(scores, logged, gain[logged.rows], epoch.settings.weight_clip)
            return own.sum() / (mean * len(rows))

        return loss

    def logits(self, epoch: Epoch) -> float:
        """Mean reward above the lowest, over ``value_temperature``."""
        gain = epoch.feedback.reward - epoch.feedback.reward.min()
        return (float(gain.mean()) or 1.0) / epoch.settings.value_temperature


def weighted_log_loss(
    scores: torch.Tensor, logged: FeedbackBatch, gain: torch.Tensor, clip: float
) -> torch.Tensor:
    """Loss of each decision, shape (b,).

    Args:
        scores: shape (b, k), -inf on pads.
        logged: b decisions.
        gain: reward above the lowest, shape (b,).
        clip: largest weight of the uniform policy.
    """
    shown = torch.log_softmax(scores, dim=1).gather(1, logged.action[:, None])[:, 0]
    return -logged.inverse_propensity(clip) * gain * shown
