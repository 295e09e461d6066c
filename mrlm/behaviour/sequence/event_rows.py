"""Rows that ask for a candidate after some entries, as batches that a network learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mrlm.bandit_log import Ragged
from mrlm.behaviour.sequence.event_network import EventBatch

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class EntryRows:
    """n rows with one candidate each, and the lists of entries that they are read from.

    Attributes:
        vectors: float32, of the items, shape (items, vector).
        statistics: float32, what happened with them, shape (versions, items, statistics): a user is
            read by a version that does not hold the user's own.
        bucket: int64, shape (items,), see ``buckets_of``.
        entries: int64 items, one row a list, oldest first.
        values: float32, of the same entries, shape (entries, values), see ``entry_values``.
        version: int64, shape (lists,), the statistics that a list is read by.
        of_row: int64, shape (n,), the list of each row.
        seen: int64, shape (n,), how many of its first entries the row sees.
        candidate: int64 items, shape (n,).
    """

    vectors: NDArray[np.float32]
    statistics: NDArray[np.float32]
    bucket: NDArray[np.int64]
    entries: Ragged
    values: NDArray[np.float32]
    version: NDArray[np.int64]
    of_row: NDArray[np.int64]
    seen: NDArray[np.int64]
    candidate: NDArray[np.int64]

    def batches(
        self, rows: NDArray[np.int64], size: int, draw: np.random.Generator | None
    ) -> Iterator[tuple[NDArray[np.int64], EventBatch]]:
        """Batches of all of these rows, each with the rows' numbers, (B, R), -1 where padded.

        Lists of about one length lie together, so that little of a batch is padding.

        Args:
            rows: that are read.
            size: entries in a batch, padded ones included; or one list.
            draw: shuffles lists of like lengths, and batches; None: in the order of their length.
        """
        order = rows[np.argsort(self.of_row[rows], kind="stable")]
        used, start = np.unique(self.of_row[order], return_index=True)
        own = Ragged(np.append(start, len(order)), order)
        length = self.entries.lengths[used] + 1
        blur = draw.uniform(0.9, 1.1, len(used)) if draw else np.ones(len(used))
        plan = list(_cut(np.argsort(length * blur, kind="stable"), length, size))
        for i in draw.permutation(len(plan)) if draw else range(len(plan)):
            numbers = padded(own.take(plan[i]), np.int64(-1))
            yield numbers, self._batch(used[plan[i]], numbers)

    def _batch(self, lists: NDArray[np.int64], numbers: NDArray[np.int64]) -> EventBatch:
        entry, version = self.entries.take(lists), self.version[lists]
        places = Ragged(self.entries.offsets, np.arange(len(self.entries.values))).take(lists)
        asked = np.maximum(numbers, 0)
        # One item read by two versions of its statistics is two.
        many = len(self.vectors)
        codes = np.concatenate(
            [
                entry.values + many * np.repeat(version, entry.lengths),
                (self.candidate[asked] + many * version[:, None]).ravel(),
            ]
        )
        items, place = np.unique(codes, return_inverse=True)
        of_version, item = np.divmod(items, many)
        of_entry, of_candidate = np.split(place, [len(entry.values)])
        values = padded(Ragged(entry.offsets, self.values[places.values]), np.float32(0))
        return EventBatch(
            vectors=torch.from_numpy(self.vectors[item]),
            statistics=torch.from_numpy(self.statistics[of_version, item]),
            bucket=torch.from_numpy(self.bucket[item]),
            entries=torch.from_numpy(padded(Ragged(entry.offsets, of_entry), np.int64(0))),
            values=torch.from_numpy(values),
            seen=torch.from_numpy(np.where(numbers < 0, 0, self.seen[asked])),
            candidates=torch.from_numpy(of_candidate.reshape(numbers.shape)),
        )


def padded(ragged: Ragged, fill: T) -> NDArray[T]:
    """Rows of one length, shape (n, longest, ...)."""
    lengths, values = ragged.lengths, ragged.values
    mask = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
    out = np.full((*mask.shape, *values.shape[1:]), fill)
    out[mask] = values
    return out


def _cut(
    order: NDArray[np.int64], length: NDArray[np.int64], size: int
) -> Iterator[NDArray[np.int64]]:
    """Parts of lists in this order, each of at most so many entries once it is padded."""
    start, longest = 0, 0
    for stop, own in enumerate(length[order].tolist()):
        longest = max(longest, own)
        if stop > start and longest * (stop + 1 - start) > size:
            yield order[start:stop]
            start, longest = stop, own
    if len(order):
        yield order[start:]
