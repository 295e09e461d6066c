"""Batches of a table with the numbers of their rows in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Numbered = tuple[NDArray[np.int64], pa.RecordBatch]
"""Numbers of the rows, int64, shape (n,), and the rows."""


def joined(parts: Sequence[Numbered]) -> Numbered:
    """Parts of one schema, one or more, as a single one."""
    table = pa.Table.from_batches([batch for _, batch in parts]).combine_chunks()
    return np.concatenate([rows for rows, _ in parts]), table.to_batches()[0]


def numbered(batches: Iterator[pa.RecordBatch]) -> Iterator[Numbered]:
    """Each batch that has rows, with the numbers of its rows in the file, int64, shape (n,)."""
    first = 0
    for batch in batches:
        if batch.num_rows:
            yield np.arange(first, first + batch.num_rows), batch
        first += batch.num_rows
