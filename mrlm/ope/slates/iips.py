"""Independent inverse propensity scoring of slates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrlm.ope.contract import Properties
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch
from mrlm.ope.slates.kinds import INDEPENDENT, MARGINAL, require_kind
from mrlm.ope.slates.weighted import slot_mean, weighted


@dataclass(frozen=True)
class IIPS:
    """The reward of each slot times the weight of its item at its position.

    Li et al. (2018), item-position click model. Biased where the reward of a slot depends on what
    else is in the list; the self-normalised form divides by the mean of the slots' weights.

    Attributes:
        self_normalised: divide by the mean weight instead of 1.
        assumed: the caller knows that the assumption is exactly true of this log (a simulated
            world); the interval is then labelled as one for the policy's value.
    """

    self_normalised: bool = False
    assumed: bool = False
    kinds: ClassVar[tuple[str, ...]] = (MARGINAL, INDEPENDENT)
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = (
        "the expected reward of a slot depends on the context, its position and its item only"
    )

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "sniips" if self.self_normalised else "iips"

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption."""
        return Properties.weighted(self.self_normalised, covers_policy_value=self.assumed)

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the propensities are not those of the item at its position.
        """
        require_kind(self.name, self.kinds, batch.kind)
        mean = slot_mean(batch.ratio, batch)
        return weighted(
            self.name,
            self.assumed,
            batch,
            batch.ratio,
            mean,
            mean if self.self_normalised else None,
        )
