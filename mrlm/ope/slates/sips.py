"""Standard slate inverse propensity scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import round_sum
from mrlm.ope.grouped.log_weights import weight_of
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch
from mrlm.ope.slates.kinds import CONDITIONAL, INDEPENDENT, SLATE, require_kind
from mrlm.ope.slates.weighted import weighted


@dataclass(frozen=True)
class SIPS:
    """Every reward of a slate times the weight of the whole list; no assumption about users.

    McInerney et al. (2020); the self-normalised form is Swaminathan and Joachims' (2015)
    with the list as the action. The variance grows with the product of the slots' weights.

    Attributes:
        self_normalised: divide by the mean weight instead of 1.
    """

    self_normalised: bool = False
    kinds: ClassVar[tuple[str, ...]] = (CONDITIONAL, SLATE, INDEPENDENT)
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = None

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "snsips" if self.self_normalised else "sips"

    @property
    def properties(self) -> Properties:
        """What holds for it."""
        return Properties.weighted(self.self_normalised, covers_policy_value=True)

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the propensities are marginal.
        """
        require_kind(self.name, self.kinds, batch.kind)
        if batch.kind == SLATE:
            logs = batch.log_ratio[batch.offsets[:-1]]
        else:
            logs = round_sum(batch.log_ratio, batch.offsets)
        weight = weight_of(logs)
        return weighted(
            self.name,
            True,
            batch,
            np.repeat(weight, batch.lengths),
            weight,
            weight if self.self_normalised else None,
        )
