"""Replay: the mean over rounds at which the target would have shown the same item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class Replay:
    """Mean of the rewards of rounds whose shown item is the target policy's choice.

    Li, Chu, Langford and Wang (2011). A stochastic target matches with its probability of the shown
    item, which stands for the average over its draws. It covers the policy's value only where the
    logger was uniform over sets of one size, which it cannot know: it is no evidence for others.
    """

    name: ClassVar[str] = "replay"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = Properties(
        unbiased=False,
        covers_policy_value=False,
        on_policy_identity=False,
        shift_equivariant=True,
        scale_equivariant=True,
        constant_reward_zero_width=True,
    )

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective."""
        match = np.broadcast_to(batch.target[batch.shown][:, None], batch.rewards.shape)
        return ratio_scores(self, batch, match * batch.rewards, match)
