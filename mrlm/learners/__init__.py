"""What learns policies from logged feedback: bandit and sequential.

The names below are what a learner of your own needs; each is imported when it is first asked for,
because networks bring torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mrlm.learners.choice import (
        Choice,
        Contender,
        ExpectedReward,
        LearnedScore,
        choose,
        choose_on,
    )
    from mrlm.learners.contract import Learner
    from mrlm.learners.inputs import LearningSample, learning_sample
    from mrlm.learners.network import CandidateSets, ScoreNetwork, make_score_network
    from mrlm.learners.policy import LearnedPolicy
    from mrlm.learners.registry import LEARNERS
    from mrlm.learners.scorer import LearnedScorer
    from mrlm.learners.settings import LearningSettings
    from mrlm.learners.training_loop import EpochDone, train_by_batches

_LATER = {
    "CandidateSets": "network",
    "Choice": "choice",
    "Contender": "choice",
    "EpochDone": "training_loop",
    "ExpectedReward": "choice",
    "LEARNERS": "registry",
    "LearnedPolicy": "policy",
    "LearnedScore": "choice",
    "LearnedScorer": "scorer",
    "Learner": "contract",
    "LearningSample": "inputs",
    "LearningSettings": "settings",
    "ScoreNetwork": "network",
    "choose": "choice",
    "choose_on": "choice",
    "learning_sample": "inputs",
    "make_score_network": "network",
    "train_by_batches": "training_loop",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "LEARNERS",
    "CandidateSets",
    "Choice",
    "Contender",
    "EpochDone",
    "ExpectedReward",
    "LearnedPolicy",
    "LearnedScore",
    "LearnedScorer",
    "Learner",
    "LearningSample",
    "LearningSettings",
    "ScoreNetwork",
    "choose",
    "choose_on",
    "learning_sample",
    "make_score_network",
    "train_by_batches",
]
