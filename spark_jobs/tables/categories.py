"""Every raw row falls into exactly one category, in this order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from spark_jobs.reading.raw import AT

QUARANTINED, DUPLICATE, LATE, CLEAN = "quarantined", "duplicate", "late", "clean"
# A broadcast of so many rows' places takes some hundred megabytes.
_BROADCAST_ROWS = 2_000_000


@dataclass(frozen=True)
class Tally:
    """What was counted of one table of a night.

    Attributes:
        counts: ``{clean, duplicate, late, quarantined: {reason: n}}``.
        mask: the union of ``_present``.
        facts: the aggregates over clean rows; empty where there are none.
    """

    counts: dict[str, Any]
    mask: int
    facts: dict[str, Any]


@dataclass(frozen=True)
class Before:
    """Rows of earlier nights that a night's rows may repeat.

    Attributes:
        rows: the keys and ``arrival`` of clean and late rows of nights before all of these; None
            where there are none.
        since: arrival night, ISO date, to the oldest night that it looks back to.
    """

    rows: DataFrame | None
    since: Mapping[str, str]

    def sees_all(self) -> bool:
        """Whether each night looks back to every earlier one."""
        return len(set(self.since.values())) == 1

    def since_of(self, arrival: Column) -> Column:
        """The oldest night that a night looks back to, date."""
        pairs = [F.to_date(F.lit(n)) for pair in self.since.items() for n in pair]
        return F.create_map(*pairs)[arrival]


def categorise(
    rows: DataFrame,
    keys: Sequence[str],
    first: Column,
    late: Column | None = None,
    before: Before | None = None,
) -> DataFrame:
    """``rows`` with ``_category``, null where ``_row_like`` is false.

    A row with a ``_reason`` is quarantined. Of the others of one night with equal ``keys`` the
    ``first`` stays, and of those the one with the lowest ``_content``, unless the key came on an
    earlier night that counts ``before``. In which file a row lies, and where in it, makes no
    difference.
    """
    # Quarantined rows form their own groups, so that they never displace a good row.
    group = [*keys, F.col("_reason").isNull()]
    order = [first, F.col("_content")]
    ranked = rows
    if before is not None and before.rows is not None:
        # Earlier rows go first in their group and leave again: one shuffle does for both.
        marked = before.rows.select(*keys, "arrival", F.lit(True).alias("_earlier"))
        ranked = rows.unionByName(marked, allowMissingColumns=True)
    by_night = Window.partitionBy(*group, "arrival").orderBy(*order)
    if before is None:
        repeated = F.row_number().over(by_night) > 1
    elif before.sees_all():
        in_time = Window.partitionBy(*group).orderBy("arrival", *order)
        repeated = F.row_number().over(in_time) > 1
    else:
        # In the order of the second window, so that both take one sort.
        in_time = Window.partitionBy(*group).orderBy("arrival", *order)
        whole = in_time.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
        known = F.col("_earlier") if "_earlier" in ranked.columns else F.lit(None)
        # An earlier night's row was taken, whatever came before it.
        since = F.when(known.isNull(), before.since_of(F.col("arrival")))
        nights = F.collect_set(F.struct(F.col("arrival"), since.alias("since"))).over(whole)
        taken = F.array_contains(_nights_taken(nights), F.col("arrival"))
        repeated = ~taken | (F.row_number().over(by_night) > 1)
    ranked = ranked.withColumn("_repeated", repeated)
    if "_earlier" in ranked.columns:
        ranked = ranked.filter(F.col("_earlier").isNull())
    kind = F.when(F.col("_reason").isNotNull(), QUARANTINED).when(F.col("_repeated"), DUPLICATE)
    if late is not None:
        kind = kind.when(F.coalesce(late, F.lit(False)), LATE)
    return ranked.withColumn("_category", F.when(F.col("_row_like"), kind.otherwise(CLEAN)))


def _nights_taken(nights: Column) -> Column:
    """Arrival nights on which a key is taken: not on one that looks back to another of them."""
    none = F.array().cast("array<date>")

    def with_night(taken: Column, night: Column) -> Column:
        newest = F.try_element_at(taken, F.lit(-1))
        again = F.coalesce(newest >= night["since"], F.lit(False))
        return F.when(again, taken).otherwise(F.array_append(taken, night["arrival"]))

    return F.aggregate(F.array_sort(nights), none, with_night)


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


def tally(rows: DataFrame, nights: Iterable[str], *facts: Column) -> dict[str, Tally]:
    """Count categorised rows by arrival night; ``facts`` are aggregates over the clean ones."""
    kept = rows.filter(F.col("_category").isNotNull())
    groups = kept.groupBy("arrival", "_category", "_reason").agg(
        F.count("*").alias("n"), F.bit_or("_present").alias("present"), *facts
    )
    of_night: dict[str, list[Row]] = {night: [] for night in nights}
    for row in groups.collect():
        of_night[str(row["arrival"])].append(row)
    return {night: _tally(found) for night, found in of_night.items()}


def _tally(groups: Iterable[Row]) -> Tally:
    counts: dict[str, Any] = {CLEAN: 0, DUPLICATE: 0, LATE: 0, QUARANTINED: {}}
    mask, about_clean = 0, {}
    for row in groups:
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
