"""Ragged arrays: rows of different length in one flat array, and the sums over them.

``offsets`` has one entry more than there are rows; row ``i`` is
``values[offsets[i]:offsets[i + 1]]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Rows of different length over one flat array.

    Attributes:
        offsets: int64, shape (n + 1,), starts at 0, never decreases.
        values: any dtype, shape (offsets[-1],).

    Raises:
        ValueError: offsets and values do not fit together.
    """

    offsets: Offsets
    values: NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.offsets) == 0 or self.offsets[0] != 0 or self.offsets[-1] != len(self.values):
            raise ValueError(
                f"offsets must run from 0 to the number of values, {len(self.values)}; "
                f"got {self.offsets[:1]} to {self.offsets[-1:]}"
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each row, int64, shape (n,)."""
        return self.offsets[1:] - self.offsets[:-1]

    @property
    def row(self) -> NDArray[np.int64]:
        """Row number of each value, int64, shape (len(values),)."""
        return rows(self.offsets)

    def take(self, index: NDArray[np.int64]) -> Ragged:
        """The rows at ``index``, in that order."""
        flat, offsets = gather(self.offsets, index)
        return Ragged(offsets, self.values[flat])

    def __getitem__(self, i: int) -> NDArray[Any]:
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    @classmethod
    def from_rows(cls, items: Sequence[Sequence[object]], dtype: type | str) -> Ragged:
        """Build from a sequence of sequences (for small data and tests)."""
        offsets = np.zeros(len(items) + 1, np.int64)
        np.cumsum([len(r) for r in items], out=offsets[1:])
        flat = [v for r in items for v in r]
        return cls(offsets, np.array(flat, dtype=dtype))

    @classmethod
    def concat(cls, parts: Sequence[Ragged]) -> Ragged:
        """All rows of ``parts``, one after the other; at least one part."""
        if len(parts) == 1:
            return parts[0]
        lengths = np.concatenate([p.lengths for p in parts])
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(offsets, np.concatenate([p.values for p in parts]))


def rows(offsets: Offsets) -> NDArray[np.int64]:
    """Row number of each value, int64, shape (offsets[-1],)."""
    if len(offsets) == 2:
        # A request comes alone, and counting takes it longer than it is.
        return np.zeros(offsets[1], np.int64)
    return np.repeat(np.arange(len(offsets) - 1), offsets[1:] - offsets[:-1])


def pieces(offsets: Offsets, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of consecutive rows with at most ``most`` values each, or one row; none without rows.

    For one pass over many rows in memory that does not grow with them.
    """
    n, start = len(offsets) - 1, 0
    while start < n:
        reach = int(np.searchsorted(offsets, offsets[start] + most, side="right")) - 1
        stop = min(max(reach, start + 1), n)
        yield start, stop
        start = stop


def ranges(
    start: NDArray[np.int64], stop: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the ranges ``start[i]:stop[i]``, one after the other, and the i of each."""
    if len(start) == 1:
        alone = np.arange(start[0], stop[0])
        return alone, np.zeros(len(alone), np.int64)
    lengths = stop - start
    row = np.repeat(np.arange(len(start)), lengths)
    first = start - (np.cumsum(lengths) - lengths)
    return np.arange(len(row)) + first[row], row


def gather(offsets: Offsets, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], Offsets]:
    """Flat positions of the rows at ``index``, and the offsets of the result."""
    start, stop = offsets[:-1][index], offsets[1:][index]
    new = np.zeros(len(index) + 1, np.int64)
    np.cumsum(stop - start, out=new[1:])
    return ranges(start, stop)[0], new


def segment_sum(values: NDArray[np.float64], offsets: Offsets) -> NDArray[np.float64]:
    """Sum of each row; (N,) gives (n,), (N, m) gives (n, m); an empty row gives 0."""
    values = np.asarray(values, np.float64)
    n = len(offsets) - 1
    if values.ndim == 1:
        return np.bincount(rows(offsets), weights=values, minlength=n).astype(np.float64)
    out = np.zeros((n, values.shape[1]))
    full = np.diff(offsets) > 0
    if full.any():
        out[full] = np.add.reduceat(values, offsets[:-1][full], axis=0)
    return out


def segment_max(values: NDArray[np.float64], offsets: Offsets) -> NDArray[np.float64]:
    """Largest value of each row, shape (n,); an empty row gives -inf."""
    out = np.full(len(offsets) - 1, -np.inf)
    full = np.diff(offsets) > 0
    if full.any():
        out[full] = np.maximum.reduceat(np.asarray(values, np.float64), offsets[:-1][full])
    return out


def segment_log_softmax(logits: NDArray[np.float64], offsets: Offsets) -> NDArray[np.float64]:
    """Log of the softmax within each row, float64, shape (N,)."""
    logits = np.asarray(logits, np.float64)
    if len(offsets) == 2 and len(logits):
        alone: NDArray[np.float64] = logits - logits.max()
        alone -= np.log(np.exp(alone).sum())
        return alone
    row = rows(offsets)
    centred = logits - segment_max(logits, offsets)[row]
    return centred - np.log(segment_sum(np.exp(centred), offsets))[row]
