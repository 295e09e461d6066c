"""Feedback: typed, attributed to its impression, categorised; and what could not be read of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from spark_jobs.contract.clock import NightClock
from spark_jobs.reading import fields
from spark_jobs.reading.raw import CARRIED, RawTable
from spark_jobs.tables.categories import LATE, QUARANTINED, Before, categorise, content
from spark_jobs.tables.forgotten_rows import REASON as FORGOTTEN
from spark_jobs.tables.forgotten_rows import is_kept
from spark_jobs.tables.keyed_ids import with_keyed_ids
from spark_jobs.tables.screening import ScreeningRules

KEYS = ("event_id",)
REQUIRED = ("event_id", "request_id", "item_id", "ts", "event", "value")


def typed(
    raw: RawTable, clock: NightClock, rules: ScreeningRules, key: bytes, alone: bool = False
) -> DataFrame:
    """Columns of ``FEEDBACK`` that one row tells, ``CARRIED``, ``_content`` and ``_reason``.

    Where events name their request ``alone``, ``with_items`` finds the item.
    """
    c = F.col
    ts, value = clock.time_of(raw.rows, "ts"), fields.number(c("value"))
    finite = F.abs(value) < float("inf")
    missing = F.lit(False)
    for name in REQUIRED:
        missing = missing | (c(name).isNull() & F.lit(not (alone and name == "item_id")))
    reason = fields.first_reason(
        [
            ("unparsable", c("_corrupt")),
            ("wrong_type", fields.bad(c("ts"), ts) | fields.bad(c("value"), value) | ~finite),
            ("missing_field", missing),
            ("impossible_value", rules.impossible_value(c("event"), value)),
            ("future_ts", clock.night(ts) > c("arrival")),
        ]
    )
    rows = with_keyed_ids(raw, key).withColumn("_reason", reason)
    return rows.select(
        *CARRIED,
        content(c("request_id"), c("item_id"), c("event"), value),
        "event_id",
        "request_id",
        "item_id",
        ts.alias("ts"),
        "event",
        value.alias("value"),
        "_reason",
    )


def with_items(rows: DataFrame, shown: DataFrame) -> DataFrame:
    """``typed`` rows with the item of their request's only slot, where they name none.

    An event of an unknown request, or of one with several slots, gets an empty item: it counts as
    unattributed.

    Args:
        rows: from ``typed``.
        shown: request_id and item_id of the impressions that are known on each ``arrival``.
    """
    slots = shown.groupBy("arrival", "request_id").agg(F.collect_set("item_id").alias("_items"))
    only = F.when(F.size("_items") == 1, F.col("_items")[0])
    none = F.when(F.col("_reason").isNull(), "")
    joined = rows.join(slots, ["arrival", "request_id"], "left")
    return joined.withColumn("item_id", F.coalesce("item_id", only, none)).drop("_items")


def classify(
    rows: DataFrame, shown: DataFrame, before: Before, windows: Mapping[str, int]
) -> DataFrame:
    """``typed`` rows with ``impression_night``, ``_attribution`` and ``_category``.

    ``_attribution`` is ``attributed``, ``ambiguous`` (the item was shown more than once in the
    request), ``left_out`` (it belongs to an impression that was not taken) or ``unattributed``.

    Args:
        rows: from ``typed``.
        shown: request_id, item_id, night and ``taken`` of the impressions that are known on each
            ``arrival``.
        before: event_id of earlier arrivals.
        windows: event to the nights for which some objective waits for it; an event that no
            objective reads is never late.
    """
    slots = shown.groupBy("arrival", "request_id", "item_id").agg(
        F.min(F.when(F.col("taken"), F.col("night"))).alias("impression_night"),
        F.when(F.count_if("taken") > 1, "ambiguous")
        .when(F.bool_or("taken"), "attributed")
        .otherwise("left_out")
        .alias("_attribution"),
    )
    joined = rows.join(slots, ["arrival", "request_id", "item_id"], "left").withColumn(
        "_attribution", F.coalesce("_attribution", F.lit("unattributed"))
    )
    window = F.lit(None).cast("int")
    for event, length in sorted(windows.items()):
        window = F.when(F.col("event") == event, length).otherwise(window)
    late = F.date_diff("arrival", "impression_night") > window
    return categorise(joined, KEYS, F.col("ts").asc(), late, before)


def by_event(
    rows: DataFrame, windows: Mapping[str, int], nights: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """What became of the events that objectives read, by arrival night and event.

    Args:
        rows: from ``classify``.
        windows: its keys are the events that objectives read.
        nights: arrival nights, ISO dates.

    Returns:
        Night to ``events``: event to ``{clean, duplicate, late, attributed, ambiguous, left_out,
        unattributed, placed, unplaced}``, the attributions of clean events, and of the quarantined
        ones whether they name a slot, and ``forgotten`` where a person was; event "" holds the
        quarantined ones whose event cannot be read. And to ``late_events``: event to impression
        night to events that came after its window.
    """
    read = F.when(F.col("event").isin(*windows), F.col("event")) if windows else F.lit(None)
    named = rows.filter(F.col("_category").isNotNull()).withColumns(
        {
            # A known event that no objective reads is of no concern here.
            "_event": F.when(F.col("event").isNull(), "").otherwise(read),
            # They came, and nobody asks what they would have been worth.
            "_category": F.when(is_kept(F.col("_reason")), F.col("_category")).otherwise(FORGOTTEN),
        }
    )
    night = F.when(F.col("_category") == LATE, F.col("impression_night").cast("string"))
    groups = named.filter(F.col("_event").isNotNull()).groupBy(
        "arrival",
        "_event",
        "_category",
        "_attribution",
        _slot_named().alias("placed"),
        night.alias("night"),
    )
    of_night: dict[str, list[Row]] = {n: [] for n in nights}
    for row in groups.count().collect():
        of_night[str(row["arrival"])].append(row)
    return {n: _events(found, windows) for n, found in of_night.items()}


def _events(groups: Iterable[Row], windows: Mapping[str, int]) -> dict[str, Any]:
    kinds = ("clean", "duplicate", LATE, "attributed", "ambiguous", "left_out", "unattributed")
    events = {e: dict.fromkeys((*kinds, "placed", "unplaced"), 0) for e in ("", *sorted(windows))}
    late: dict[str, dict[str, int]] = {e: {} for e in sorted(windows)}
    for row in groups:
        found, number = events[row["_event"]], row["count"]
        if row["_category"] == FORGOTTEN:
            found[FORGOTTEN] = found.get(FORGOTTEN, 0) + number
            continue
        if row["_category"] == QUARANTINED:
            found["placed" if row["placed"] else "unplaced"] += number
            continue
        found[row["_category"]] += number
        if row["_category"] == LATE:
            late[row["_event"]][row["night"]] = number
        if row["_category"] == "clean":
            found[row["_attribution"]] += number
    return {"events": events, "late_events": {e: dict(sorted(n.items())) for e, n in late.items()}}


def unread(rows: DataFrame, windows: Mapping[str, int]) -> DataFrame:
    """Slots of which an event came that could not be read: columns of ``UNREAD``.

    ``event`` is null where it could not be read either: it may be any.
    """
    event = F.col("event")
    concerns = event.isNull() | (event.isin(*windows) if windows else F.lit(False))
    concerns = concerns & is_kept(F.col("_reason"))
    quarantined = rows.filter((F.col("_category") == QUARANTINED) & _slot_named() & concerns)
    return quarantined.select("request_id", "item_id", "event", "arrival").distinct()


def _slot_named() -> Column:
    return F.col("request_id").isNotNull() & F.col("item_id").isNotNull()
