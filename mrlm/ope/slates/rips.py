"""Reward-interaction inverse propensity scoring of slates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrlm.ope.contract import Properties
from mrlm.ope.grouped.log_weights import running_log_weight, weight_of
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch
from mrlm.ope.slates.kinds import CONDITIONAL, INDEPENDENT, require_kind
from mrlm.ope.slates.weighted import slot_mean, weighted


@dataclass(frozen=True)
class RIPS:
    """The reward of each slot times the weight of the list down to it.

    McInerney et al. (2020), cascade of rewards. Biased where a reward depends on items below its
    slot; the self-normalised form divides by the mean of the slots' running weights.

    Attributes:
        self_normalised: divide by the mean weight instead of 1.
        assumed: the caller knows that the assumption is exactly true of this log (a simulated
            world); the interval is then labelled as one for the policy's value.
    """

    self_normalised: bool = False
    assumed: bool = False
    kinds: ClassVar[tuple[str, ...]] = (CONDITIONAL, INDEPENDENT)
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = (
        "the expected reward of a slot does not depend on the items below it"
    )

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "snrips" if self.self_normalised else "rips"

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption."""
        return Properties.weighted(self.self_normalised, covers_policy_value=self.assumed)

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the propensities are not conditional on the items above.
        """
        require_kind(self.name, self.kinds, batch.kind)
        running = weight_of(running_log_weight(batch.log_ratio, batch.offsets))
        return weighted(
            self.name,
            self.assumed,
            batch,
            running,
            running[batch.offsets[1:] - 1],
            slot_mean(running, batch) if self.self_normalised else None,
        )
