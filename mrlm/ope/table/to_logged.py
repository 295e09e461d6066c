"""Arrow batches to logged rounds, one set for each policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.ope.checks import RowError
from mrlm.ope.table.columns import Columns
from mrlm.ope.table.logged import LoggedTable

Numbered = tuple[NDArray[np.int64], pa.RecordBatch]


def to_logged(
    batch: pa.RecordBatch, columns: Columns, rows: NDArray[np.int64] | None = None
) -> list[LoggedTable]:
    """The batch under each policy, in the order of ``columns.policies``.

    Args:
        batch: has the columns that ``columns`` names.
        columns: what they mean.
        rows: int64, shape (n,), numbers of the batch's rows in their file, each a row's user where
            the table names no unit of independence; None where they count from 0.

    Raises:
        ValueError: a value is missing, of a wrong type or out of range; row and column are named.
    """
    at = np.arange(batch.num_rows) if rows is None else rows
    cluster = users_of((at, batch), columns)
    names = [*columns.objectives]
    read = {c: numbers_of(batch.column(c), c) for c in columns.numbers}
    rewards = np.column_stack([read[columns.objectives[o]] for o in names])
    return [
        LoggedTable(
            cluster=cluster,
            target=read[column],
            propensity=read["propensity"],
            rewards=rewards,
            objectives=tuple(names),
            q=np.column_stack([read[columns.q[policy, o]] for o in names]) if columns.q else None,
            v=np.column_stack([read[columns.v[policy, o]] for o in names]) if columns.v else None,
            policy=policy,
            rows=at,
        )
        for policy, column in columns.policies.items()
    ]


def users_of(part: Numbered, columns: Columns) -> NDArray[Any]:
    """User of each row, shape (n,): the unit of independence, else the row's own number.

    Raises:
        ValueError: a user is missing, or the column is of a wrong type; the row is named.
    """
    rows, batch = part
    return (
        rows if columns.unit is None else names_of(batch.column(columns.unit), columns.unit, rows)
    )


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


def names_of(array: pa.Array, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
    """A column of integers or texts as int64, uint64 (of that type only) or object, shape (n,).

    Raises:
        ValueError: a value is missing, or the column holds something else.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    check_present(array, name, rows)
    check_names(array.type, name)
    if pa.types.is_uint64(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if pa.types.is_integer(array.type):
        return np.asarray(array.cast(pa.int64()).to_numpy(zero_copy_only=False))
    return np.asarray(array.to_numpy(zero_copy_only=False), object)


def check_present(array: pa.Array, name: str, rows: NDArray[np.int64]) -> None:
    """Check that no value of a column is missing, given the numbers of its rows, shape (n,).

    Raises:
        RowError: one is.
    """
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if missing.any():
        raise RowError(
            int(rows[np.flatnonzero(missing)[0]]),
            f"{name} is missing; fill it or leave such rows out "
            f"({int(missing.sum())} such rows here, counting from 0)",
        )


def check_names(kind: pa.DataType, name: str) -> None:
    """Check that a column of this type holds integers or texts.

    Raises:
        ValueError: it holds something else.
    """
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not text and not pa.types.is_integer(kind):
        raise ValueError(f"column {name} must be integers or text; it is {kind}: cast it")


def numbers_of(array: pa.Array, name: str) -> NDArray[np.float64]:
    """A column of numbers as float64, shape (n,), NaN where missing.

    Raises:
        ValueError: the column holds something else.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    check_numbers(array.type, name)
    numbers = array.cast(pa.int8()) if pa.types.is_boolean(array.type) else array
    # An integer beyond 2^53 loses digits that no estimate has.
    filled = pc.fill_null(pc.cast(numbers, pa.float64(), safe=False), float("nan"))
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def check_numbers(kind: pa.DataType, name: str) -> None:
    """Check that a column of this type holds numbers, or nothing.

    Raises:
        ValueError: it holds something else.
    """
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if not known and not pa.types.is_decimal(kind) and not pa.types.is_null(kind):
        raise ValueError(f"column {name} must be numbers; it is {kind}: cast it")
