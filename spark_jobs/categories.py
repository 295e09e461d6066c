"""Every raw row falls into exactly one category, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_jobs.raw import AT

QUARANTINED, DUPLICATE, LATE, CLEAN = "quarantined", "duplicate", "late", "clean"
# A broadcast of so many rows' places takes some hundred megabytes.
_BROADCAST_ROWS = 2_000_000


@dataclass(frozen=True)
class Tally:
    """What was counted of one table.

    Attributes:
        counts: ``{clean, duplicate, late, quarantined: {reason: n}}``.
        mask: the union of ``_present``.
        facts: the aggregates over clean rows; empty where there are none.
    """

    counts: dict[str, Any]
    mask: int
    facts: dict[str, Any]


def categorise(
    rows: DataFrame,
    keys: Sequence[str],
    first: Column,
    late: Column | None = None,
    earlier: DataFrame | None = None,
) -> DataFrame:
    """``rows`` with ``_category``, null where ``_row_like`` is false.

    A row with a ``_reason`` is quarantined. Of the others with equal ``keys`` the ``first`` stays,
    and of those the one with the lowest ``_content``, unless the key is in ``earlier``: it came on
    an earlier night. In which file a row lies, and where in it, makes no difference.
    """
    # Quarantined rows form their own groups, so that they never displace a good row.
    group = [*keys, F.col("_reason").isNull()]
    order = [first, F.col("_content")]
    if earlier is not None:
        # Earlier rows go first in their group and leave again: one shuffle does for both.
        marked = earlier.select(*keys, F.lit(True).alias("_earlier"))
        rows = rows.unionByName(marked, allowMissingColumns=True)
        order = [F.col("_earlier").asc_nulls_last(), *order]
    number = F.row_number().over(Window.partitionBy(*group).orderBy(*order))
    ranked = rows.withColumn("_number", number)
    if earlier is not None:
        ranked = ranked.filter(F.col("_earlier").isNull())
    kind = F.when(F.col("_reason").isNotNull(), QUARANTINED).when(F.col("_number") > 1, DUPLICATE)
    if late is not None:
        kind = kind.when(F.coalesce(late, F.lit(False)), LATE)
    return ranked.withColumn("_category", F.when(F.col("_row_like"), kind.otherwise(CLEAN)))


def content(*columns: Column) -> Column:
    """``_content``: a hash of a row's values, to tell rows with the same key apart.

    Nulls add nothing to the hash, so ``_present`` goes with them.
    """
    return F.xxhash64("_present", *columns).alias("_content")


def of_category(rows: DataFrame, judged: DataFrame, category: str, others: int) -> DataFrame:
    """The rows of ``rows`` that are of a category in ``judged``, found by their places.

    Args:
        rows: with ``AT`` and ``_row_like``.
        judged: the same rows, with ``_category`` and ``AT``.
        category: of the rows wanted; ``CLEAN`` are those that are of no other.
        others: number of rows that are not clean, which are few as a rule.
    """
    clean = category == CLEAN
    wanted = F.col("_category") != CLEAN if clean else F.col("_category") == category
    places = judged.filter(wanted).select(*AT)
    if others <= _BROADCAST_ROWS:
        places = F.broadcast(places)
    return rows.filter("_row_like").join(places, [*AT], "left_anti" if clean else "left_semi")


def tally(rows: DataFrame, *facts: Column) -> Tally:
    """Count categorised rows; ``facts`` are aggregates over the clean ones."""
    counts: dict[str, Any] = {CLEAN: 0, DUPLICATE: 0, LATE: 0, QUARANTINED: {}}
    mask, about_clean = 0, {}
    kept = rows.filter(F.col("_category").isNotNull())
    groups = kept.groupBy("_category", "_reason").agg(
        F.count("*").alias("n"), F.bit_or("_present").alias("present"), *facts
    )
    for row in groups.collect():
        mask |= row["present"]
        if row["_category"] == QUARANTINED:
            counts[QUARANTINED][row["_reason"]] = row["n"]
        else:
            counts[row["_category"]] += row["n"]
        if row["_category"] == CLEAN:
            about_clean = row.asDict()
    counts[QUARANTINED] = dict(sorted(counts[QUARANTINED].items()))
    return Tally(counts, mask, about_clean)


def check_conservation(where: str, counts: dict[str, Any]) -> None:
    """Check that raw = clean + duplicate + late + quarantined.

    Raises:
        RuntimeError: it does not; rows were lost or doubled by the job itself.
    """
    parts = counts[CLEAN] + counts[DUPLICATE] + counts[LATE] + sum(counts[QUARANTINED].values())
    if counts["raw"] != parts:
        raise RuntimeError(
            f"{where}: {counts['raw']} raw rows, but {parts} rows in the categories {counts}; "
            "nothing was published. This is a fault of the ingest job, not of the input"
        )
