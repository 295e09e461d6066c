"""Per-decision importance sampling."""

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
class PerDecisionIS:
    """Each reward times the weight of the actions down to its step.

    Precup, Sutton and Singh (2000); the self-normalised form divides by the mean weight step by
    step, see ``step_ratios``.

    Attributes:
        discount: factor a step on later rewards, in (0, 1].
        self_normalised: divide by the mean weights instead of 1.
        terms: ratios of the self-normalised form; the steps from ``terms - 1`` on share the last.
    """

    discount: float = 1.0
    self_normalised: bool = False
    terms: int = 32
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        check_discount(self.discount)

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "sn_per_decision_is" if self.self_normalised else "per_decision_is"

    @property
    def properties(self) -> Properties:
        """What holds for it; zero width where no session has more steps than ``terms``."""
        return Properties.weighted(self.self_normalised, covers_policy_value=True)

    def __call__(self, batch: SessionBatch) -> Scores:
        """Scores of every session and objective."""
        weight = weight_of(batch.log_weight)
        worth = discounts(batch, self.discount)[:, None] * batch.rewards
        if self.self_normalised:
            above, below = step_ratios(worth, weight, batch, self.discount, self.terms)
        else:
            above = round_sum(weight[:, None] * worth, batch.offsets)[:, :, None]
            below = np.ones((1, 1, 1))
        name = labelled(self.name, self.discount)
        return grouped_scores(name, True, batch, above, below, last(weight, batch))
