"""What sequential learners train on: logged decisions and what followed each, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.learners.inputs import LearningSample
from mrlm.learners.network import CandidateSets
from mrlm.learners.sequential.session_rewards import session_rewards
from mrlm.learners.sequential.transitions import Transitions, transitions
from mrlm.learners.settings import LearningSettings


@dataclass(frozen=True)
class Experience:
    """n decisions with N candidates in all.

    Attributes:
        features: of every candidate.
        offsets: int64, shape (n + 1,), of the candidate sets.
        sets: the same as padded batches.
        action: int64, shape (n,), column of the shown item.
        reward: float32, shape (n,), scalar.
        following: int64, shape (n,), the next decision, or -1.
        counted: bool, shape (n,), False where the log does not hold what followed: such a row is
            no end of a session, and no target can be computed for it.
    """

    features: PairFeatures
    offsets: NDArray[np.int64]
    sets: CandidateSets
    action: torch.Tensor
    reward: torch.Tensor
    following: torch.Tensor
    counted: torch.Tensor

    @classmethod
    def of(
        cls,
        features: PairFeatures,
        offsets: NDArray[np.int64],
        action: NDArray[np.int64],
        reward: NDArray[np.float64],
        steps: Transitions,
    ) -> Experience:
        """From arrays; shapes as above."""
        return cls(
            features=features,
            offsets=offsets,
            sets=CandidateSets(features, offsets),
            action=torch.from_numpy(action),
            reward=torch.from_numpy(reward.astype(np.float32)),
            following=torch.from_numpy(steps.following),
            counted=torch.from_numpy(~steps.truncated),
        )

    def __len__(self) -> int:
        return len(self.action)

    def shown(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Flat position of the shown item of each row of a batch, and a mask, each (b, 1)."""
        first = torch.from_numpy(self.offsets)[index]
        return (first + self.action[index])[:, None], torch.ones((len(index), 1), dtype=torch.bool)


def experience_of(sample: LearningSample, settings: LearningSettings, centred: bool) -> Experience:
    """The sample's decisions, each reward the weighted sum of the objectives in their scales.

    Of an objective that is a return it is what a decision brought by itself.

    Args:
        sample: what the night's learners share.
        settings: says how long a session may pause.
        centred: whether the mean of each objective is taken off.
    """
    inputs, log, of = sample.inputs, sample.log, sample.scalarisation
    if log.own is None:
        reward = inputs.value[log.shown] + inputs.residual
        if not centred:
            reward = reward + float(of.weight @ (of.mean / of.scale))
    else:
        rewards = session_rewards(sample)
        reward = (rewards - rewards.mean(axis=0) * centred) @ of.weight
    steps = transitions(log, settings.session_gap_minutes)
    return Experience.of(inputs.features, log.decisions.offsets, log.action, reward, steps)
