"""A learner with other settings, under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mrlm.learners.contract import Learner
from mrlm.learners.inputs import LearningSample
from mrlm.learners.registry import LEARNERS
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone


@dataclass(frozen=True)
class Variant:
    """What a learner makes of the same rows where some of its settings are others.

    Attributes:
        name: of its score: ``learner.variant``.
        learner: that learns.
        changes: by name; of a table those that are named.
    """

    name: str
    learner: Learner
    changes: Mapping[str, Any]

    def looks_ahead(self, settings: LearningSettings) -> bool:
        """See ``Learner``."""
        return self.learner.looks_ahead(settings.with_changes(self.changes))

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> LearnedScorer:
        """See ``Learner``."""
        own = settings.with_changes(self.changes)
        return replace(self.learner.learn(sample, own, seed, progress), name=self.name)


def learners_of(settings: LearningSettings) -> dict[str, Learner]:
    """All that a night trains, by the names of their scores, in the order of the settings."""
    variants = [
        Variant(f"{of}.{name}", LEARNERS[of], changes)
        for of, named in settings.variants.items()
        for name, changes in named.items()
    ]
    return {**{n: LEARNERS[n] for n in settings.learners}, **{v.name: v for v in variants}}
