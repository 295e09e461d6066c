"""Doubly robust estimation over sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import grouped_scores, round_sum
from mrlm.ope.grouped.log_weights import weight_of
from mrlm.ope.scores import Scores
from mrlm.ope.sequential.batch import SessionBatch
from mrlm.ope.sequential.steps import check_discount, discounts, labelled, last, step_ratios


@dataclass(frozen=True)
class SequentialDR:
    """Per-decision weights on the residuals of a predicted value, plus the prediction.

    Jiang and Li (2016), unrolled: with w_t the weight down to step t, ``v_0 + sum_t w_t
    (d^t (r_t - q_t) + d^(t+1) v_(t+1))``, d the discount and v 0 after the last step. The
    self-normalised form, the weighted DR of Thomas and Brunskill (2016), divides each w_t by its
    mean, see ``step_ratios``. Any q is allowed that was fitted on other users.

    Attributes:
        discount: factor a step on later rewards, in (0, 1].
        self_normalised: divide by the mean weights instead of 1.
        terms: ratios of the self-normalised form; the steps from ``terms - 1`` on share the last.
    """

    discount: float = 1.0
    self_normalised: bool = False
    terms: int = 32
    needs_q: ClassVar[bool] = True
    assumption: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        check_discount(self.discount)

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "sn_sequential_dr" if self.self_normalised else "sequential_dr"

    @property
    def properties(self) -> Properties:
        """What holds for it."""
        return Properties(
            unbiased=not self.self_normalised,
            covers_policy_value=True,
            on_policy_identity=False,
            shift_equivariant=True,
            scale_equivariant=True,
            constant_reward_zero_width=False,
        )

    def __call__(self, batch: SessionBatch) -> Scores:
        """Scores of every session and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        q, v = batch.predictions
        weight = weight_of(batch.log_weight)
        faded = discounts(batch, self.discount)[:, None]
        following = np.concatenate([(faded * v)[1:], np.zeros((1, v.shape[1]))])
        following[batch.offsets[1:] - 1] = 0.0
        move = faded * (batch.rewards - q) + following
        start = v[batch.offsets[:-1]]
        if self.self_normalised:
            above, below = step_ratios(move, weight, batch, self.discount, self.terms)
            above = np.concatenate([start[:, :, None], above], axis=2)
            below = np.concatenate([np.ones((len(batch), 1, 1)), below], axis=2)
        else:
            moved = round_sum(weight[:, None] * move, batch.offsets)
            above, below = (start + moved)[:, :, None], np.ones((1, 1, 1))
        name = labelled(self.name, self.discount)
        return grouped_scores(name, True, batch, above, below, last(weight, batch))
