"""Slate estimation under the position-based click model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Offsets, rows
from mrlm.ope.contract import Properties
from mrlm.ope.grouped.grouped import round_sum
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch
from mrlm.ope.slates.kinds import EXPOSURE, require_kind
from mrlm.ope.slates.weighted import weighted


@dataclass(frozen=True)
class PBM:
    """The reward of each slot times its item's expected examination, target over logger.

    Li et al. (2018), position-based model: a click on an item at any position informs about it at
    all others. The self-normalised form divides by the mean of the slots' weights, each counted by
    its examination.

    Attributes:
        self_normalised: divide by the mean weight instead of 1.
        assumed: the caller knows that the assumption is exactly true of this log (a simulated
            world); the interval is then labelled as one for the policy's value.
    """

    self_normalised: bool = False
    assumed: bool = False
    kinds: ClassVar[tuple[str, ...]] = (EXPOSURE,)
    needs_q: ClassVar[bool] = False
    assumption: ClassVar[str | None] = (
        "the expected reward of a slot is the known examination of its position times an appeal "
        "that depends on the context and the item only"
    )

    @property
    def name(self) -> str:
        """Name in the registry and in tables."""
        return "snpbm" if self.self_normalised else "pbm"

    @property
    def properties(self) -> Properties:
        """What holds for it under its assumption."""
        return Properties(
            unbiased=not self.self_normalised,
            covers_policy_value=self.assumed,
            on_policy_identity=True,
            # A constant a slot is no position-based reward.
            shift_equivariant=False,
            scale_equivariant=True,
            constant_reward_zero_width=False,
        )

    def __call__(self, batch: SlateBatch) -> Scores:
        """Scores of every slate and objective.

        Raises:
            ValueError: the propensities are not expected examinations.
        """
        require_kind(self.name, self.kinds, batch.kind)
        # A batch of this kind has it.
        examination = np.asarray(batch.examination, np.float64)
        looked = round_sum(examination, batch.offsets)
        mean = round_sum(examination * batch.ratio, batch.offsets) / looked
        return weighted(
            self.name,
            self.assumed,
            batch,
            batch.ratio,
            mean,
            mean if self.self_normalised else None,
        )


def expected_examination(
    at_position: NDArray[np.float64], offsets: Offsets, examination: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Expected examination of each shown item: sum over positions of its probability times theirs.

    Args:
        at_position: float64, flat: for each slot of a slate of L slots, L numbers, the marginal
            probability of the slot's item at each position of the slate.
        offsets: int64, shape (n + 1,), offsets of the slates.
        examination: float64, shape (S,), examination probability of each slot.

    Returns:
        float64, shape (S,).

    Raises:
        ValueError: ``at_position`` has not L times L numbers a slate.
    """
    per_slot = np.diff(offsets)[rows(offsets)]
    if len(at_position) != int(per_slot.sum()):
        raise ValueError(
            f"at_position must hold L * L numbers for each slate of L slots, {per_slot.sum()} in "
            f"all; got {len(at_position)}"
        )
    starts = np.concatenate([[0], np.cumsum(per_slot)])
    place = np.arange(len(at_position)) - np.repeat(starts[:-1], per_slot)
    first = np.repeat(offsets[:-1][rows(offsets)], per_slot)
    return round_sum(at_position * examination[first + place], starts)
