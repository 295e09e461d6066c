"""Self-normalised inverse propensity scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class SNIPS:
    """Weighted mean of the rewards: consistent, with a bias of the order of 1 / n.

    Hajek (1971); Swaminathan and Joachims (2015). The interval is that of a ratio of sums, so the
    normaliser's own variation is in it.
    """

    name: ClassVar[str] = "snips"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = Properties.weighted(
        self_normalised=True, covers_policy_value=True
    )

    def __call__(self, batch: Rounds) -> Scores:
        """Scores of every round and objective."""
        denominator = np.broadcast_to(batch.weight[:, None], batch.rewards.shape)
        numerator = denominator * batch.rewards
        return ratio_scores(self, batch, numerator, denominator)
