"""The contract of the learners' family: what makes a scorer of policies from logged feedback."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mrlm.learners.inputs import LearningSample
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone


@runtime_checkable
class Learner(Protocol):
    """What learns a policy off-policy, from a log that another policy made."""

    @property
    def name(self) -> str:
        """Name in settings, and of the scorer's column."""
        ...

    def looks_ahead(self, settings: LearningSettings) -> bool:
        """Whether its score counts rewards of later decisions too."""
        ...

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> LearnedScorer:
        """Learn on the fit nights; the same arguments give the same weights to the bit.

        Args:
            sample: what the night's learners share; it is not changed.
            settings: sizes and rates.
            seed: of everything random.
            progress: see ``EpochDone``.
        """
        ...
