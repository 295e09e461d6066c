"""Decisions on the further slots of lists: what was found of their first slots still holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.decisions import Decisions
from mrlm.bandit_log.ragged import Ragged, gather


@dataclass(frozen=True)
class LaterSlot(Decisions):
    """Decisions on a further slot of lists, which know their first slots.

    The user looks back on the same entries and the candidates are some of those, so that a scorer
    computes what depends on these two alone once a list, not once a slot.

    Attributes:
        first: decisions on the first slots.
        of_decision: int64, shape (n,), row of each decision in ``first``.
        of_candidate: int64, shape (N,), place of each candidate among those of ``first``.

    Raises:
        ValueError: the places are not those of the decisions and candidates.
    """

    first: Decisions
    of_decision: NDArray[np.int64]
    of_candidate: NDArray[np.int64]

    def __post_init__(self) -> None:
        many = len(self.user), len(self.candidates.values)
        if (len(self.of_decision), len(self.of_candidate)) != many:
            raise ValueError(
                f"{many[0]} decisions with {many[1]} candidates need as many places in the first "
                f"slot; got {len(self.of_decision)} and {len(self.of_candidate)}"
            )

    def _taken(self, index: NDArray[np.int64]) -> dict[str, Any]:
        flat, _ = gather(self.offsets, index)
        return super()._taken(index) | {
            "of_decision": self.of_decision[index],
            "of_candidate": self.of_candidate[flat],
        }


def next_slot(
    decisions: Decisions, place: NDArray[np.int64], shown: NDArray[np.int32]
) -> LaterSlot:
    """The same lists one slot further down: the shown items move from the candidates to above.

    Args:
        decisions: n decisions on one slot of each list.
        place: int64, shape (n,), flat place of the shown item among the candidates.
        shown: int32, shape (n,), its code.
    """
    many = len(decisions)
    kept = np.ones(len(decisions.candidates.values), np.bool_)
    kept[place] = False
    step = np.arange(many + 1)
    first, of_decision, of_candidate = decisions, np.arange(many), np.flatnonzero(kept)
    if isinstance(decisions, LaterSlot):
        first, of_decision = decisions.first, decisions.of_decision
        of_candidate = decisions.of_candidate[kept]
    return LaterSlot(
        catalog=decisions.catalog,
        user=decisions.user,
        scene=decisions.scene,
        position=(decisions.position + 1).astype(np.int32),
        ts=decisions.ts,
        candidates=Ragged(decisions.offsets - step, decisions.candidates.values[kept]),
        histories=decisions.histories,
        since=decisions.since,
        until=decisions.until,
        request=decisions.request,
        above=Ragged(
            decisions.above.offsets + step,
            np.insert(decisions.above.values, decisions.above.offsets[1:], shown),
        ),
        first=first,
        of_decision=of_decision,
        of_candidate=of_candidate,
    )
