"""What a policy may see of a decision: the state and the candidate set, never the outcome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.catalog import Catalog
from mrlm.bandit_log.ragged import Ragged, gather, pieces

# Candidates that are looked at together: about 100 MiB of features.
BLOCK = 1 << 18


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
        history: ragged int32 codes of the items this user was shown before, oldest first.
        history_value: float32, one value an entry of ``history``: the reward that was known when
            the decision was taken, NaN where none was.
        above: ragged int32 codes of the items shown above in the same request.

    Examples:
        >>> from mrlm import latent_log
        >>> decisions = latent_log(50, 6, n_candidates=4, seed=0)[0].decisions
        >>> first = decisions.candidates.values[: decisions.offsets[1]]
        >>> [str(item) for item in decisions.catalog.item_id[first]]
        ['m000095', 'm000113', 'm000119', 'm000136']
    """

    catalog: Catalog
    user: NDArray[np.object_]
    scene: NDArray[np.object_]
    position: NDArray[np.int32]
    ts: NDArray[np.datetime64]
    candidates: Ragged
    history: Ragged
    history_value: NDArray[np.float32]
    above: Ragged

    def __len__(self) -> int:
        return len(self.user)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Offsets of the candidate sets, int64, shape (n + 1,)."""
        return self.candidates.offsets

    def take(self, index: NDArray[np.int64]) -> Decisions:
        """The decisions at ``index``, in that order."""
        flat, _ = gather(self.history.offsets, index)
        return replace(
            self,
            user=self.user[index],
            scene=self.scene[index],
            position=self.position[index],
            ts=self.ts[index],
            candidates=self.candidates.take(index),
            history=self.history.take(index),
            history_value=self.history_value[flat],
            above=self.above.take(index),
        )

    def blocks(self, most: int | None = None) -> Iterator[tuple[slice, Decisions]]:
        """Consecutive decisions with at most ``most`` candidates together, or one decision.

        Yields the place of the block among all candidates, and its decisions; where one block
        holds all of them, these decisions themselves. ``most`` is ``BLOCK`` unless given.
        """
        offsets = self.offsets
        for start, stop in pieces(offsets, BLOCK if most is None else most):
            whole = stop - start == len(self)
            part = self if whole else self.take(np.arange(start, stop))
            yield slice(int(offsets[start]), int(offsets[stop])), part

    @classmethod
    def concat(cls, parts: Sequence[Decisions]) -> Decisions:
        """All decisions of ``parts``, which share one catalogue; at least one part."""
        return cls(
            catalog=parts[0].catalog,
            user=np.concatenate([p.user for p in parts]),
            scene=np.concatenate([p.scene for p in parts]),
            position=np.concatenate([p.position for p in parts]),
            ts=np.concatenate([p.ts for p in parts]),
            candidates=Ragged.concat([p.candidates for p in parts]),
            history=Ragged.concat([p.history for p in parts]),
            history_value=np.concatenate([p.history_value for p in parts]),
            above=Ragged.concat([p.above for p in parts]),
        )
