"""What off-policy gradient learners share: they differ in their estimate of a policy's value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.logged_feedback import FeedbackBatch, LoggedFeedback
from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork, make_score_network
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import BatchLoss, train_by_batches

Terms = Callable[[BatchPolicy, FeedbackBatch], torch.Tensor]
"""What each decision of a batch adds to the estimated value of a policy, shape (b,)."""


class GradientLearner(ABC):
    """Maximises an estimated value of a softmax policy, less a price on leaving the logger.

        mean over decisions of: term_i(pi) - divergence KL(pi(.|x_i) | logger(.|x_i))

    pi is softmax(score / temperature) mixed with the floor. Where the log has no propensities of
    all candidates, the divergence is from uniform.
    """

    name: str

    @abstractmethod
    def epoch_terms(
        self, network: ScoreNetwork, feedback: LoggedFeedback, settings: LearningSettings
    ) -> Terms:
        """The terms of the next epoch; those that need sums over the whole log take them here.

        Args:
            network: as it is before the epoch.
            feedback: the whole log.
            settings: clip of the weights, and the learner's own.
        """

    def looks_ahead(self, settings: LearningSettings) -> bool:
        """It does not: a decision is judged by its own reward."""
        return False

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> LearnedScorer:
        """Learn on the fit nights; see ``Learner``."""
        network = make_score_network(sample.inputs.features, settings, seed, gain=1.0)
        self.train(network, LoggedFeedback(sample.log, sample.inputs), settings, seed, progress)
        return LearnedScorer(self.name, network, sample.reward_model, sample.scalarisation)

    def train(
        self,
        network: ScoreNetwork,
        feedback: LoggedFeedback,
        settings: LearningSettings,
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Change ``network`` by ``settings.epochs`` passes over the log."""

        def epoch_loss() -> BatchLoss:
            terms = self.epoch_terms(network, feedback, settings)

            def loss(rows: torch.Tensor) -> torch.Tensor:
                scores, batch = feedback.batch(network, rows)
                return -objective(scores, batch, terms, settings)

            return loss

        train_by_batches(network, len(feedback), epoch_loss, settings, seed, progress=progress)


def objective(
    scores: torch.Tensor, batch: FeedbackBatch, terms: Terms, settings: LearningSettings
) -> torch.Tensor:
    """What is maximised, mean over a batch, a scalar.

    Args:
        scores: shape (b, k), -inf on pads.
        batch: b decisions.
        terms: of the estimated value.
        settings: temperature, floor and divergence.
    """
    policy = BatchPolicy.of(scores, batch.mask, settings)
    value = terms(policy, batch)
    return (value - settings.divergence * policy.divergence(batch)).mean()
