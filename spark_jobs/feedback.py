"""Feedback: typed, attributed to its impression, categorised."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs import fields
from spark_jobs.categories import CARRIED, categorise, quarantined_text
from spark_jobs.clock import NightClock
from spark_jobs.raw import RawTable
from spark_jobs.screening import ScreeningRules

KEYS = ("event_id",)
REQUIRED = ("event_id", "request_id", "item_id", "ts", "event", "value")


def typed(raw: RawTable, clock: NightClock, rules: ScreeningRules) -> DataFrame:
    """Columns of ``FEEDBACK`` but ``impression_night``, ``META``, and ``_reason``."""
    c = F.col
    ts, value = clock.instant(c("ts")), fields.number(c("value"))
    finite = F.abs(value) < float("inf")
    missing = F.lit(False)
    for name in REQUIRED:
        missing = missing | c(name).isNull()
    arrival = F.lit(raw.night).cast("date")
    reason = fields.first_reason(
        [
            ("unparsable", c("_corrupt")),
            ("wrong_type", fields.bad(c("ts"), ts) | fields.bad(c("value"), value) | ~finite),
            ("missing_field", missing),
            ("impossible_value", rules.impossible_value(c("event"), value)),
            ("future_ts", clock.night(ts) > arrival),
        ]
    )
    rows = raw.rows.withColumn("_reason", reason)
    return rows.select(
        *CARRIED,
        quarantined_text(),
        "event_id",
        "request_id",
        "item_id",
        ts.alias("ts"),
        arrival.alias("arrival"),
        "event",
        value.alias("value"),
        "_reason",
    )


def classify(
    rows: DataFrame, shown: DataFrame, earlier: DataFrame | None, windows: Mapping[str, int]
) -> DataFrame:
    """``typed`` rows with ``impression_night`` and ``_category``.

    Args:
        rows: from ``typed``.
        shown: request_id, item_id, night of the impressions that are known.
        earlier: event_id of earlier arrivals.
        windows: event to the nights for which some objective waits for it; an event that no
            objective reads is never late.
    """
    nights = shown.groupBy("request_id", "item_id").agg(F.min("night").alias("impression_night"))
    joined = rows.join(nights, ["request_id", "item_id"], "left")
    window = F.lit(None).cast("int")
    for event, length in sorted(windows.items()):
        window = F.when(F.col("event") == event, length).otherwise(window)
    late = F.date_diff("arrival", "impression_night") > window
    return categorise(joined, KEYS, late, earlier)
