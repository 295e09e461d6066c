"""What off-policy gradient learners share: they differ in their estimate of a policy's value."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch

from mrlm.learners.bandit.bandit_learner import BanditLearner
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import BatchLoss

Terms = Callable[[BatchPolicy], torch.Tensor]
"""What each decision of a batch adds to the estimated value of a policy, shape (b,)."""


class GradientLearner(BanditLearner):
    """Maximises an estimated value of a softmax policy, less a price on leaving the logger.

        mean over decisions of: term_i(pi) - divergence KL(pi(.|x_i) | logger(.|x_i))

    pi is softmax(score / temperature) mixed with the floor. Where the log has no propensities of
    all candidates, the divergence is from uniform.
    """

    @abstractmethod
    def epoch_terms(self, epoch: Epoch) -> Terms:
        """The terms of the next epoch; those that need sums over the whole log take them here."""

    def epoch_loss(self, epoch: Epoch) -> BatchLoss:
        """Minus the objective; see ``BanditLearner``."""
        terms = self.epoch_terms(epoch)

        def loss(rows: torch.Tensor) -> torch.Tensor:
            scores, logged = epoch.feedback.batch(epoch.network, rows)
            return -objective(BatchPolicy.of(scores, logged, epoch.settings), terms, epoch.settings)

        return loss


def objective(policy: BatchPolicy, terms: Terms, settings: LearningSettings) -> torch.Tensor:
    """What is maximised, mean over a batch, a scalar."""
    value = terms(policy)
    return (value - settings.divergence * policy.divergence()).mean()
