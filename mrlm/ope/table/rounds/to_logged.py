"""Arrow batches to logged rounds, one set for each policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.ope.table.columns.cells import names_of, numbers_of
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.rounds.logged import LoggedTable
from mrlm.ope.table.rounds.numbered import Numbered


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
