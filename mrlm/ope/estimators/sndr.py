"""The self-normalised doubly robust estimator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class SNDR:
    """The direct method plus the self-normalised weighted mean of its residuals.

    Thomas and Brunskill (2016), section 4, for one step. A mean and a ratio of sums, each a term of
    the scores, so the interval has the normaliser's own variation in it.
    """

    name: ClassVar[str] = "sndr"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[Properties] = Properties(
        unbiased=False,
        covers_policy_value=True,
        on_policy_identity=False,
        shift_equivariant=True,
        scale_equivariant=True,
        constant_reward_zero_width=False,
    )

    def __call__(self, batch: Rounds) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        direct = batch.direct
        weight = np.broadcast_to(batch.weight[:, None], batch.rewards.shape)
        residual = weight * (batch.rewards - batch.shown_predictions)
        mean = ratio_scores(self, batch, direct)
        ratio = ratio_scores(self, batch, residual, weight)
        return replace(
            mean,
            numerator=np.concatenate([mean.numerator, ratio.numerator], axis=2),
            denominator=np.concatenate([mean.denominator, ratio.denominator], axis=2),
            signs=np.ones(2),
        )
