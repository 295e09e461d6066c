"""What all sequential learners share: from a sample to a scorer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import ScoreNetwork
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.sequential.experience import Experience, experience_of
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone


@dataclass(frozen=True)
class SequentialLearner(ABC):
    """A learner of sessions; its members say how they fit a network.

    Attributes:
        name: see ``Learner``.
        centred: whether the mean is taken from every reward. Right only where all sessions are
            equally long: else a constant on every reward changes which policy is best.
    """

    name: str
    centred: bool = False

    def looks_ahead(self, settings: LearningSettings) -> bool:
        """Wherever the next reward counts."""
        return settings.discount > 0

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> LearnedScorer:
        """Learn on the fit nights; see ``Learner``."""
        seen = experience_of(sample, settings, self.centred)
        network = self.fit(sample, seen, settings, seed, progress)
        return LearnedScorer(self.name, network.eval(), sample.reward_model, sample.scalarisation)

    @abstractmethod
    def fit(
        self,
        sample: LearningSample,
        seen: Experience,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> ScoreNetwork:
        """A network whose outputs are logits of the policy; see ``Learner.learn``.

        Args:
            sample: what the night's learners share.
            seen: its decisions, and what followed each.
            settings: sizes and rates.
            seed: of everything random.
            progress: see ``EpochDone``.
        """
