"""The doubly robust estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.rounds import Rounds
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class DR:
    """The direct method plus the weighted mean of its residuals.

    Dudik, Langford and Li (2011). Unbiased for any q that was fitted on other users.
    """

    name: ClassVar[str] = "dr"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[Properties] = Properties(
        unbiased=True,
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
        residual = batch.rewards - batch.shown_predictions
        numerator = batch.direct + batch.weight[:, None] * residual
        return ratio_scores(self, batch, numerator)
