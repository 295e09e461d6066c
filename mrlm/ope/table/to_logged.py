"""Arrow batches to logged rounds, one set for each policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.ope.table.columns import Columns
from mrlm.ope.table.logged import LoggedTable


def to_logged(batch: pa.RecordBatch, columns: Columns, first_row: int = 0) -> list[LoggedTable]:
    """The batch under each policy, in the order of ``columns.policies``.

    Args:
        batch: has the columns that ``columns`` names.
        columns: what they mean.
        first_row: number of the batch's first row in its file; it is a row's user where the table
            names no unit of independence.

    Raises:
        ValueError: a value is missing, of a wrong type or out of range; row and column are named.
    """
    n = batch.num_rows
    if columns.unit is None:
        cluster: NDArray[Any] = np.arange(first_row, first_row + n)
    else:
        cluster = _unit(batch.column(columns.unit), columns.unit, first_row)
    names = [*columns.objectives]
    read = {c: _numbers(batch.column(c), c) for c in columns.numbers}
    rewards = np.column_stack([read[columns.objectives[o]] for o in names])
    q = np.column_stack([read[columns.q[o]] for o in names]) if columns.q else None
    return [
        LoggedTable(
            cluster=cluster,
            target=read[column],
            propensity=read["propensity"],
            rewards=rewards,
            objectives=tuple(names),
            q=q,
            v=np.column_stack([read[columns.v[policy, o]] for o in names]) if columns.v else None,
            policy=policy,
            first_row=first_row,
        )
        for policy, column in columns.policies.items()
    ]


def numbered(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Each batch that has rows, with the number of its first row."""
    first = 0
    for batch in batches:
        if batch.num_rows:
            yield first, batch
        first += batch.num_rows


def _unit(array: pa.Array, name: str, first_row: int) -> NDArray[Any]:
    if array.null_count:
        i = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise ValueError(
            f"row {first_row + i}: {name} is missing; fill it or leave such rows out "
            f"({array.null_count} such rows here, counting from 0)"
        )
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_integer(array.type):
        return np.asarray(array.cast(pa.int64()).to_numpy(zero_copy_only=False))
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False), object)
    raise ValueError(f"column {name} must be integers or text; it is {array.type}: cast it")


def _numbers(array: pa.Array, name: str) -> NDArray[np.float64]:
    kind = array.type
    known = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if not known and not pa.types.is_null(kind):
        raise ValueError(f"column {name} must be numbers; it is {kind}: cast it")
    numbers = array.cast(pa.int8()) if pa.types.is_boolean(kind) else array
    filled = pc.fill_null(pc.cast(numbers, pa.float64()), float("nan"))
    return np.asarray(filled.to_numpy(zero_copy_only=False))
