"""Entries that states look back on, as lists that are read once for all that see a beginning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions, Ragged


@dataclass(frozen=True)
class EventLists:
    """Lists of entries for S states, each of which sees the first entries of one list.

    What a causal encoder says of an entry depends on those before it alone, so one pass over a list
    serves all of its states. An entry whose value changed between two states is another entry of
    the histories: where that happened the lists part, and no state is read from what became known
    after it.

    Attributes:
        places: int64 places in the histories, one row a list, oldest first.
        of_state: int64, shape (S,), the list of each state.
        seen: int64, shape (S,), how many of its first entries the state sees.
    """

    places: Ragged
    of_state: NDArray[np.int64]
    seen: NDArray[np.int64]

    @classmethod
    def of(cls, states: Decisions, most: int) -> EventLists:
        """Of the newest entries that each state sees: at most ``most``, which is a multiple of 4.

        A longer history begins at a multiple of a quarter of that, so that two states of a night
        begin alike.
        """
        seen = states.looked_back_on()
        over, step = seen.lengths - most, most // 4
        first = seen.offsets[:-1] + np.where(over > 0, -(-over // step) * step, 0)
        count = len(states)
        of_state, lists = np.zeros(count, np.int64), list[NDArray[np.int64]]()
        # Users lie apart in the histories; of one, who decides later sees more.
        order = np.lexsort((seen.lengths, states.ts, states.since))[::-1]
        for i in order.tolist():
            own = seen.values[first[i] : seen.offsets[i + 1]]
            last = lists[-1] if lists else None
            if last is None or len(own) > len(last) or (last[: len(own)] != own).any():
                lists.append(own)
            of_state[i] = len(lists) - 1
        offsets = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(own) for own in lists], out=offsets[1:])
        places = np.concatenate(lists) if lists else np.zeros(0, np.int64)
        return cls(Ragged(offsets, places), of_state, seen.offsets[1:] - first)
