"""What bandit learners share: they differ in the loss that a network is trained by."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.logged_feedback import LoggedFeedback
from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork, make_score_network
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import BatchLoss, EpochDone, train_by_batches


class BanditLearner(ABC):
    """Trains a network on logged decisions, each by itself."""

    name: str

    @abstractmethod
    def epoch_loss(self, epoch: Epoch) -> BatchLoss:
        """The loss of the next pass over the log."""

    def logits(self, epoch: Epoch) -> float:
        """What the trained scores are multiplied by, so that their softmax is a policy."""
        return 1.0

    def looks_ahead(self, settings: LearningSettings) -> bool:
        """It does not: a decision is judged by its own reward."""
        return False

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> LearnedScorer:
        """Learn on the fit nights; see ``Learner``."""
        network = make_score_network(sample.inputs.features, settings, seed, gain=1.0)
        feedback = LoggedFeedback(sample.log, sample.inputs)
        self.train(network, feedback, settings, seed, progress)
        if (factor := self.logits(Epoch(network, feedback, settings))) != 1.0:
            network.rescale(factor)
        return LearnedScorer(self.name, network, sample.reward_model, sample.scalarisation)

    def train(
        self,
        network: ScoreNetwork,
        feedback: LoggedFeedback,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> None:
        """Change ``network`` by ``settings.epochs`` passes over the log."""
        epoch = Epoch(network, feedback, settings)
        train_by_batches(
            network,
            len(feedback),
            lambda: self.epoch_loss(epoch),
            settings,
            seed,
            progress=progress,
        )
