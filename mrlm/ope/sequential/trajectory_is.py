"""Trajectory-wise importance sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import grouped_scores, round_sum
from mrlm.ope.grouped.log_weights import weight_of
from mrlm.ope.scores import Scores
from mrlm.ope.sequential.batch import SessionBatch
from mrlm.ope.sequential.steps import check_discount, discounts, labelled, last


@dataclass(frozen=True)
class TrajectoryIS:
    """The discounted return of a session times the weight of all its actions.

    Precup, Sutton and Singh (2000). The variance grows exponentially with the steps.

    Attributes:
        discount: factor a step on later rewards, in (0, 1].
        self_normalised: divide by the mean weight instead of 1.
    """

    discount: float = 1.0
    self_normalised: bool = False
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        check_discount(self.discount)

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "sn_trajectory_is" if self.self_normalised else "trajectory_is"

    @property
    def properties(self) -> Properties:
        """What holds for it."""
        return Properties.weighted(self.self_normalised, covers_policy_value=True)

    def __call__(self, batch: SessionBatch) -> Scores:
        """Scores of every session and objective."""
        weight = last(weight_of(batch.log_weight), batch)
        worth = discounts(batch, self.discount)[:, None] * batch.rewards
        numerator = weight[:, None] * round_sum(worth, batch.offsets)
        below = weight if self.self_normalised else np.ones(len(batch))
        name = labelled(self.name, self.discount)
        return grouped_scores(
            name,
            True,
            batch,
            numerator[:, :, None],
            below[:, None, None],
            weight,
        )
