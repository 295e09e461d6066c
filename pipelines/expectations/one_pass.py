"""Sums over all rows of a table, and some of its rows, for one reading of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame


def sums(rows: DataFrame, columns: Mapping[str, Column]) -> dict[str, Any]:
    """The values of aggregates over all rows, by their names."""
    if not columns:
        return {}
    (row,) = rows.agg(*[value.alias(name) for name, value in columns.items()]).collect()
    return dict(row.asDict())


def sums_and_rows(
    rows: DataFrame, columns: Mapping[str, Column], some: Callable[[DataFrame], DataFrame]
) -> tuple[dict[str, Any], pa.Table]:
    """The values of aggregates over all rows, and what ``some`` makes of them.

    Args:
        rows: all of whose columns are read: Spark leaves out none that stands before the sums.
        columns: name to an aggregate; none that tells values apart, which Spark cannot sum here.
        some: filters and selects; what it returns is held in memory.
    """
    from pyspark.sql import Observation

    seen = Observation()
    observed = rows.observe(seen, *[value.alias(name) for name, value in columns.items()])
    table = some(observed).toArrow()
    return dict(seen.get), table
