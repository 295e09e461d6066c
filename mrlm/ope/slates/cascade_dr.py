"""Cascade doubly robust estimation of slates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import grouped_scores, round_sum
from mrlm.ope.grouped.log_weights import running_log_weight, weight_of
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch
from mrlm.ope.slates.kinds import CONDITIONAL, INDEPENDENT, require_kind


@dataclass(frozen=True)
class CascadeDR:
    """Running weights on the residuals of a predicted value, plus the prediction.

    Kiyohara et al. (2022): with w_k the weight of the list
    down to slot k, ``sum_k w_k (r_k - q_k) + w_(k-1) v_k``. Unbiased for any q that was fitted on
    other users, where the assumption holds.

    Attributes:
        assumed: the caller knows that the assumption is exactly true of this log (a simulated
            world); the interval is then labelled as one for the policy's value.
    """

    assumed: bool = False
    name: ClassVar[str] = "cascade_dr"
    kinds: ClassVar[tuple[str, ...]] = (CONDITIONAL, INDEPENDENT)
    needs_q: ClassVar[bool] = True
    assumption: ClassVar[str | None] = (
        "the expected reward of a slot does not depend on the items below it"
    )

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption."""
        return Properties(
            unbiased=True,
            covers_policy_value=self.assumed,
            on_policy_identity=False,
            shift_equivariant=True,
            scale_equivariant=True,
            constant_reward_zero_width=False,
        )

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the propensities are not conditional on the items above, or q or v are
                missing.
        """
        require_kind(self.name, self.kinds, batch.kind)
        if batch.q is None or batch.v is None:
            raise ValueError(
                f"{self.name} needs predicted values q of the shown items and v, their "
                "expectation under the target; give a reward model, or use rips"
            )
        running = weight_of(running_log_weight(batch.log_ratio, batch.offsets))
        above = np.concatenate([[1.0], running[:-1]])
        above[batch.offsets[:-1]] = 1.0
        score = running[:, None] * (batch.rewards - batch.q) + above[:, None] * batch.v
        return grouped_scores(
            self.name,
            self.assumed,
            batch,
            round_sum(score, batch.offsets)[:, :, None],
            np.ones((1, 1, 1)),
            running[batch.offsets[1:] - 1],
        )
