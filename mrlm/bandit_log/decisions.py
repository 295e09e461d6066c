"""What a policy may see of a decision: the state and the candidate set, never the outcome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.catalog import Catalog
from mrlm.bandit_log.histories import UNNAMED, Histories
from mrlm.bandit_log.ragged import Ragged, pieces, ranges

# Candidates, and entries of histories, that are looked at together: about 100 MiB of features.
BLOCK = 1 << 18
_ENTRIES = 1 << 22


@dataclass(frozen=True)
class Decisions:
    """States and candidate sets of n decisions, N candidates in all.

    Attributes:
        catalog: the items that codes point to.
        user: pseudonyms, str objects, shape (n,).
        scene: str objects, shape (n,).
        position: int32, shape (n,), 1 at the top of the list.
        ts: datetime64[us] in UTC, shape (n,).
        candidates: ragged int32 item codes, one row a decision.
        histories: entries of users' histories, shared by all decisions.
        since: int64, shape (n,), the first entry that a decision may look back on.
        until: int64, shape (n,), the end of them; which of these it sees, see ``Histories``.
        request: int64, shape (n,), number of the decision's request among those of ``histories``.
        above: ragged int32 codes of the items shown above in the same request.

    Examples:
        >>> from mrlm import latent_log
        >>> decisions = latent_log(50, 6, n_candidates=4, seed=0)[0].decisions
        >>> first = decisions.candidates.values[: decisions.offsets[1]]
        >>> [str(item) for item in decisions.catalog.item_id[first]]
        ['m000095', 'm000113', 'm000119', 'm000136']
        >>> decisions.history.lengths[[0, 50, 299]].tolist()
        [0, 1, 5]
    """

    catalog: Catalog
    user: NDArray[np.object_]
    scene: NDArray[np.object_]
    position: NDArray[np.int32]
    ts: NDArray[np.datetime64]
    candidates: Ragged
    histories: Histories
    since: NDArray[np.int64]
    until: NDArray[np.int64]
    request: NDArray[np.int64]
    above: Ragged

    def __len__(self) -> int:
        return len(self.user)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Offsets of the candidate sets, int64, shape (n + 1,)."""
        return self.candidates.offsets

    def looked_back_on(self) -> Ragged:
        """Places in ``histories`` of the entries that each decision sees, int64, oldest first.

        Of several decisions made anew at each call, with an entry a decision and entry seen: for
        many at once, go by ``blocks``.
        """
        if len(self) == 1:
            return self._alone_looked_back_on
        place, row = ranges(self.since, self.until)
        entries, moment = self.histories, self.ts[row]
        seen = (entries.known_from[place] < moment) & (moment <= entries.known_until[place])
        seen &= entries.request[place] != self.request[row]
        offsets = np.zeros(len(self) + 1, np.int64)
        np.cumsum(np.bincount(row[seen], minlength=len(self)), out=offsets[1:])
        return Ragged(offsets, place[seen])

    def looking_back_on(self, most: int) -> Self:
        """The same decisions, each with the newest ``most`` of the entries that it sees.

        As many as a request brings: what is served has to be what is judged.
        """
        if len(self) == 0 or int((self.until - self.since).max()) <= most:
            return self
        since = self.since.copy()
        done = 0
        for _, part in self.blocks():
            seen = part.looked_back_on()
            long = np.flatnonzero(seen.lengths > most)
            if most:
                since[done + long] = seen.values[seen.offsets[long + 1] - most]
            else:
                since[done + long] = part.until[long]
            done += len(part)
        return replace(self, since=since)

    @cached_property
    def _alone_looked_back_on(self) -> Ragged:
        """Of the only decision, as a request is: its entries lie together; made once."""
        start, stop = int(self.since[0]), int(self.until[0])
        entries, own, moment = self.histories, slice(start, stop), self.ts[0]
        seen = (entries.known_from[own] < moment) & (moment <= entries.known_until[own])
        seen &= entries.request[own] != self.request[0]
        place = start + np.flatnonzero(seen)
        return Ragged(np.array([0, len(place)]), place)

    @property
    def history(self) -> Ragged:
        """Codes of the items that each decision looks back on, int32; see ``looked_back_on``."""
        seen = self.looked_back_on()
        return Ragged(seen.offsets, self.histories.item[seen.values])

    def with_history(
        self, items: Ragged, rewards: NDArray[np.float32], objectives: tuple[str, ...] = (UNNAMED,)
    ) -> Decisions:
        """The same with these histories, a list for each decision; see ``Histories.of_lists``."""
        return replace(
            self,
            histories=Histories.of_lists(items, rewards, objectives),
            since=items.offsets[:-1],
            until=items.offsets[1:],
            request=np.zeros(len(self), np.int64),
        )

    def take(self, index: NDArray[np.int64]) -> Self:
        """The decisions at ``index``, in that order; the histories are shared, not copied."""
        return replace(self, **self._taken(index))

    def _taken(self, index: NDArray[np.int64]) -> dict[str, Any]:
        return {
            "user": self.user[index],
            "scene": self.scene[index],
            "position": self.position[index],
            "ts": self.ts[index],
            "candidates": self.candidates.take(index),
            "since": self.since[index],
            "until": self.until[index],
            "request": self.request[index],
            "above": self.above.take(index),
        }

    def blocks(self, most: int | None = None) -> Iterator[tuple[slice, Self]]:
        """Consecutive decisions with at most ``most`` candidates together, or one decision.

        Yields the place of the block among all candidates, and its decisions; where one block
        holds all of them, these decisions themselves. ``most`` is ``BLOCK`` unless given.
        """
        offsets = self.offsets
        if len(self) == 1:
            yield slice(0, int(offsets[-1])), self
            return
        many = BLOCK if most is None else most
        # Candidates and entries in one count, so that neither grows beyond what is kept of them.
        entries = (self.until - self.since) * many // _ENTRIES
        together = np.zeros(len(self) + 1, np.int64)
        np.cumsum(np.maximum(np.diff(offsets), entries), out=together[1:])
        for start, stop in pieces(together, many):
            whole = stop - start == len(self)
            part = self if whole else self.take(np.arange(start, stop))
            yield slice(int(offsets[start]), int(offsets[stop])), part

    @classmethod
    def concat(cls, parts: Sequence[Decisions]) -> Decisions:
        """All decisions of ``parts``, which share one catalogue; at least one part."""
        shared = all(p.histories is parts[0].histories for p in parts)
        sizes = [0 if shared else len(p.histories) for p in parts]
        shift = np.cumsum([0, *sizes])[:-1].tolist()
        return cls(
            catalog=parts[0].catalog,
            user=np.concatenate([p.user for p in parts]),
            scene=np.concatenate([p.scene for p in parts]),
            position=np.concatenate([p.position for p in parts]),
            ts=np.concatenate([p.ts for p in parts]),
            candidates=Ragged.concat([p.candidates for p in parts]),
            histories=parts[0].histories
            if shared
            else Histories.concat([p.histories for p in parts]),
            since=np.concatenate([p.since + s for p, s in zip(parts, shift, strict=True)]),
            until=np.concatenate([p.until + s for p, s in zip(parts, shift, strict=True)]),
            request=np.concatenate([p.request for p in parts]),
            above=Ragged.concat([p.above for p in parts]),
        )
