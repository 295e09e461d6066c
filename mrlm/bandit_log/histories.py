"""What users were shown and did before their decisions, kept once for all that look back on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Ragged

# Before and after every time that a log can hold.
ALWAYS = np.datetime64(np.iinfo(np.int64).min + 1, "us")
OPEN = np.datetime64(np.iinfo(np.int64).max, "us")
_NEVER = np.datetime64("NaT", "us")
# The request of an entry that no decision's request is.
NO_REQUEST = -1
# The one objective of histories whose values came without a name.
UNNAMED = ""


@dataclass(frozen=True)
class Histories:
    """Entries of users' histories, E in all; those of one user lie together, oldest first.

    An entry is a shown item, or an event that names no request, as it was known for a time: where
    more became known of it, the entry ends and the next one holds what was known from then on. A
    decision sees the entries with ``known_from`` < its time <= ``known_until``, but none of its own
    request. So values are as they stood at the decision, and an entry is stored once, not once a
    decision.

    Attributes:
        item: int32, shape (E,), item codes.
        shown: datetime64[us], shape (E,), when it was shown or happened; NaT where nobody says.
        known_from: datetime64[us], shape (E,).
        known_until: datetime64[us], shape (E,).
        request: int64, shape (E,), number of the request that showed it; ``NO_REQUEST`` where it
            is none of those that look back.
        objectives: names of m feedback objectives; the one that tells most of what a user likes
            first (``state.history_objective`` of the settings).
        rewards: float32, shape (E, m); NaN where none was known.
    """

    item: NDArray[np.int32]
    shown: NDArray[np.datetime64]
    known_from: NDArray[np.datetime64]
    known_until: NDArray[np.datetime64]
    request: NDArray[np.int64]
    objectives: tuple[str, ...]
    rewards: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.item)

    @classmethod
    def of_lists(
        cls,
        items: Ragged,
        rewards: NDArray[np.float32],
        objectives: tuple[str, ...] = (UNNAMED,),
    ) -> Histories:
        """A list of its own for every decision, all of it known at any time.

        Args:
            items: int32 item codes, one row a decision, oldest first.
            rewards: float32, shape (E,) or (E, m).
            objectives: m names.
        """
        size = len(items.values)
        never = np.full(size, _NEVER)
        return cls(
            item=items.values.astype(np.int32),
            shown=never,
            known_from=np.full(size, ALWAYS),
            known_until=np.full(size, OPEN),
            request=np.full(size, NO_REQUEST, np.int64),
            objectives=objectives,
            rewards=rewards.reshape(size, len(objectives)),
        )

    @classmethod
    def none(cls, objectives: tuple[str, ...] = (UNNAMED,)) -> Histories:
        """No entry at all: for decisions that look back on nothing."""
        empty = Ragged(np.zeros(1, np.int64), np.zeros(0, np.int32))
        return cls.of_lists(empty, np.zeros((0, len(objectives)), np.float32), objectives)

    def column(self, name: str, place: int) -> NDArray[np.float32] | None:
        """Known rewards of one objective, float32, shape (E,); None where there are none.

        Args: as for ``place``.
        """
        found = self.place(name, place)
        return None if found is None else self.rewards[:, found]

    def place(self, name: str, place: int) -> int | None:
        """Column of ``rewards`` that holds one objective; None where none does.

        Args:
            name: of the objective; ``UNNAMED``: the first one, whatever it is called.
            place: of the name among those that a reader asks for: values that came without a name
                are those of its first.
        """
        if name in self.objectives:
            return self.objectives.index(name)
        unnamed = name == UNNAMED or (self.objectives == (UNNAMED,) and place == 0)
        return 0 if unnamed and self.objectives else None

    @classmethod
    def concat(cls, parts: Sequence[Histories]) -> Histories:
        """All entries of ``parts``, one after the other; at least one part.

        Raises:
            ValueError: the parts have other objectives.
        """
        first = parts[0]
        if any(p.objectives != first.objectives for p in parts):
            names = sorted({p.objectives for p in parts})
            raise ValueError(f"histories of different objectives cannot be put together: {names}")
        return replace(
            first,
            item=np.concatenate([p.item for p in parts]),
            shown=np.concatenate([p.shown for p in parts]),
            known_from=np.concatenate([p.known_from for p in parts]),
            known_until=np.concatenate([p.known_until for p in parts]),
            request=np.concatenate([p.request for p in parts]),
            rewards=np.concatenate([p.rewards for p in parts]),
        )
