"""What was read of users who came alone, kept by what they look back on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions
from mrlm.behaviour.features.pair_features import HistoryRead
from mrlm.behaviour.features.taste import Posterior
from mrlm.behaviour.sequence.event_forward import EventsRead

# Users that are kept. With 200 entries and three objectives each takes about 30 KiB a model; what a
# transformer reads of one takes ten times that, and so many bytes of it are kept.
_MOST, _MOST_BYTES = 2048, 1 << 28


@dataclass(frozen=True)
class UserRead:
    """What m models of k members read of S states, whatever is offered in them.

    Attributes:
        history: what pair features say of them, by model.
        by_state: what first layers make of its moments, shape (m k, S, hidden).
        users: projections of the user vectors, shape (S, m k, projection).
        taste: by the factors of all members, of a single state; None for several.
        events: by the members' networks over entries, of a single state; None where there are none.
    """

    history: HistoryRead
    by_state: NDArray[np.floating]
    users: NDArray[np.floating]
    taste: Posterior | None = None
    events: EventsRead | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of what transformers read."""
        return 0 if self.events is None else self.events.nbytes


class UserStates:
    """States over one catalogue by their content: who comes again with the same is not read anew.

    Those that were asked for longest ago are forgotten first.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], UserRead] = OrderedDict()
        self._bytes = 0

    def of(self, state: Decisions, read: Callable[[Decisions], UserRead]) -> UserRead:
        """``read(state)`` of a single decision, once for all that see the same entries."""
        seen, entries = state.looked_back_on().values, state.histories
        key = (entries.objectives, entries.item[seen].tobytes(), entries.rewards[seen].tobytes())
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = read(state)
            self._bytes += found.nbytes
            while len(self._kept) > _MOST or (self._bytes > _MOST_BYTES and len(self._kept) > 1):
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        else:
            self._kept.move_to_end(key)
        return found
