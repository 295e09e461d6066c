"""The contract of the learners' family: what makes a scorer of policies from logged feedback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.model import RewardModel
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearningSettings


@runtime_checkable
class Learner(Protocol):
    """What learns a policy off-policy, from a log that another policy made."""

    @property
    def name(self) -> str:
        """Name in settings, and of the scorer's column."""
        ...

    def learn(
        self,
        log: BanditLog,
        reward_model: RewardModel,
        weights: Mapping[str, float],
        settings: LearningSettings,
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> LearnedScorer:
        """Learn on the fit nights; the same arguments give the same weights to the bit.

        Args:
            log: decisions of the fit nights, those that the reward model was fitted on.
            reward_model: gives features, and values of users that it did not see.
            weights: of the objectives, by name; others have weight 0.
            settings: sizes and rates.
            seed: of everything random.
            progress: called with (epochs done, epochs in all).

        Raises:
            ValueError: the log is empty, or weights name no objective or are all 0.
        """
        ...
