"""Switch: inverse propensity scoring where weights are moderate, else the direct method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm.bandit_log.ragged import segment_sum
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.estimators.shrinking import check_at_least, label
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class Switch:
    """IPS on items whose weight is at most ``threshold``, predictions on the others.

    Wang, Agarwal and Dudik (2017), equation 8. It must know which items have a large weight, so it
    needs the logging probability of every candidate; one that is never shown has an infinite
    weight. Its bias is E of the sum, over items above the threshold, of target * (q - r).

    Attributes:
        threshold: largest weight that is used, at least 1.

    Raises:
        ValueError: the threshold is below 1.
    """

    threshold: float = 10.0
    name: ClassVar[str] = "switch"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[Properties] = Properties(
        unbiased=False,
        covers_policy_value=False,
        on_policy_identity=True,
        shift_equivariant=False,
        scale_equivariant=True,
        constant_reward_zero_width=False,
    )

    def __post_init__(self) -> None:
        check_at_least("threshold", self.threshold, 1.0)

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no predictions, or lacks a candidate's logging probability.
        """
        predictions, logged = batch.predictions, batch.candidate_propensity
        if logged is None or np.isnan(logged).any():
            raise ValueError(
                "switch needs the logging probability of every candidate; give "
                "candidate_propensity, or use switch_dr"
            )
        above = batch.target > self.threshold * logged
        direct = segment_sum(
            np.where(above, batch.target, 0.0)[:, None] * predictions, batch.offsets
        )
        kept = np.where(above[batch.shown], 0.0, batch.weight)
        numerator = direct + kept[:, None] * batch.rewards
        return ratio_scores(self, batch, numerator, name=label(self))
