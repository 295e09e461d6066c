"""What bandit learners read of a log, as tensors from which batches of decisions are taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.logged_policy import logging_log_probabilities
from mrlm.learners.inputs import LearningInputs
from mrlm.learners.network import CandidateSets


@dataclass(frozen=True)
class FeedbackBatch:
    """b decisions, their candidate sets padded to the longest, k.

    Attributes:
        rows: int64, shape (b,), the decisions' places in the log.
        mask: bool, shape (b, k), False on pads.
        value: expected reward of each candidate, shape (b, k); anything on pads.
        logger: log probability under the logger, shape (b, k); anything on pads.
        action: int64, shape (b,), column of the shown item.
        propensity: shape (b,), of the shown item.
        reward: shape (b,), of the shown item.
        residual: shape (b,), reward less the shown item's expected reward.
    """

    rows: torch.Tensor
    mask: torch.Tensor
    value: torch.Tensor
    logger: torch.Tensor
    action: torch.Tensor
    propensity: torch.Tensor
    reward: torch.Tensor
    residual: torch.Tensor

    def inverse_propensity(self, clip: float) -> torch.Tensor:
        """1 / p of what was shown, at most ``clip`` times the size of its set, shape (b,).

        1 / (size p) is the importance weight of the uniform policy.
        """
        size = self.mask.sum(1)
        return size * (1.0 / (size * self.propensity)).clamp(max=clip)


class LoggedFeedback:
    """A log of n decisions; an objective whose reward is not known enters by its expectation.

    Attributes:
        propensity: float32, shape (n,).
        reward: float32, shape (n,), scalar.
        log: the log itself.
    """

    def __init__(self, log: BanditLog, inputs: LearningInputs) -> None:
        self.log = log
        self._sets = CandidateSets(inputs.features, log.decisions.offsets)
        self._value = _tensor(inputs.value)
        self._logger = _tensor(logging_log_probabilities(log))
        self._residual = _tensor(inputs.residual)
        self._action = torch.from_numpy(log.action)
        self.propensity = _tensor(log.propensity)
        self.reward = _tensor(inputs.value[log.shown] + inputs.residual)

    def __len__(self) -> int:
        return len(self.reward)

    def batch(self, network: nn.Module, rows: torch.Tensor) -> tuple[torch.Tensor, FeedbackBatch]:
        """Scores of the candidates, shape (b, k), -inf on pads, and what was logged."""
        place, mask = self._sets.places(rows)
        scores = self._sets.scores(network, place, mask)
        return scores, FeedbackBatch(
            rows=rows,
            mask=mask,
            value=self._value[place],
            logger=self._logger[place],
            action=self._action[rows],
            propensity=self.propensity[rows],
            reward=self.reward[rows],
            residual=self._residual[rows],
        )


def _tensor(values: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
