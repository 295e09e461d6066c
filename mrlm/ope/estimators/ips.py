"""Inverse propensity scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class IPS:
    """Mean of weight times reward: unbiased, and of high variance where weights are large.

    Horvitz and Thompson (1952); Precup, Sutton and Singh (2000).
    """

    name: ClassVar[str] = "ips"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = Properties.weighted(
        self_normalised=False, covers_policy_value=True
    )

    def __call__(self, batch: Rounds) -> Scores:
        """Scores of every round and objective."""
        numerator = batch.weight[:, None] * batch.rewards
        return ratio_scores(self, batch, numerator)
