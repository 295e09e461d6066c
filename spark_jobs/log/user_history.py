"""What users had been shown before the decisions of a night, and what was known of it then."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from mrlm.bandit_log import Objective
from spark_jobs.log.rewards import reward


def histories(
    slots: DataFrame,
    decisions: DataFrame,
    objectives: Sequence[Objective],
    length: int,
    nights: int,
    told: DataFrame | None = None,
) -> DataFrame:
    """Columns of ``histories_schema``, and ``night``, that of the decisions which look back on it.

    An entry is a slot shown to the user, on one of the ``nights`` nights before or on the night
    itself, before the last of its decisions. Of those before the user's first decision of the night
    the most recent ``length`` are kept. An event that names no request is an entry of its own, of
    its item; it counts from the night on which it arrived.

    The rewards are the objectives' as the events stood: those that had happened before a time and
    had arrived by the night. Where an event comes between the user's first and last decision of the
    night, the entry ends with it and another begins; see ``mrlm.bandit_log.histories``.

    Args:
        slots: user, request_id, ts, night, scene, position, item_id, events of all shown slots.
        decisions: user, ts, night of the decisions.
        objectives: feedback objectives, the first one first in the columns.
        length: entries at most, of those before the first decision.
        nights: how far back.
        told: ``HISTORY``, events of the users that name no request.
    """
    c = F.col
    entries = slots.select(
        "user",
        "request_id",
        "item_id",
        "ts",
        "scene",
        "position",
        F.lit(None).cast("string").alias("event"),
        F.lit(None).cast("double").alias("value"),
        "events",
        c("night").alias("shown_night"),
        c("night").alias("came"),
    )
    if told is not None:
        entries = entries.unionByName(_entries(told))
    moments = decisions.groupBy("user", "night").agg(
        F.min("ts").alias("first"), F.max("ts").alias("last")
    )
    seen = entries.join(moments, "user").filter(
        (c("ts") < c("last"))
        & (c("shown_night") >= F.date_sub("night", nights))
        & (c("came") <= c("night"))
    )
    before = c("ts") < c("first")
    newest = Window.partitionBy("user", "night", before).orderBy(
        c("ts").desc(), c("request_id").desc(), c("position").desc(), c("item_id").desc()
    )
    kept = seen.withColumn("_rank", F.row_number().over(newest)).filter(
        ~before | (c("_rank") <= length)
    )
    known = kept.withColumn("events", F.filter("events", _is_known)).withColumn("_at", _moments())
    each = known.withColumn("known_from", F.explode(_beginnings()))
    later = F.filter("_at", lambda moment: moment > c("known_from"))
    # A request may go on past midnight; of older ones no decision of the night is a part.
    recent = c("shown_night") >= F.date_sub("night", 1)
    return each.select(
        "night",
        "user",
        F.when(recent, c("request_id")).alias("request_id"),
        "item_id",
        c("ts").alias("shown"),
        "scene",
        "position",
        "event",
        "value",
        "known_from",
        F.array_min(later).alias("known_until"),
        *[_reward(o).cast("float").alias(f"reward_{o.name}") for o in objectives],
    )


def _entries(told: DataFrame) -> DataFrame:
    """Events that name no request, each with itself as its only event."""
    itself = F.struct("ts", "event_id", "event", "value", "arrival")
    return told.select(
        "user",
        F.lit(None).cast("string").alias("request_id"),
        "item_id",
        "ts",
        F.lit(None).cast("string").alias("scene"),
        F.lit(None).cast("int").alias("position"),
        "event",
        "value",
        F.array(itself).alias("events"),
        F.col("night").alias("shown_night"),
        F.col("arrival").alias("came"),
    )


def _is_known(event: Column) -> Column:
    """Whether it had arrived by the night, and came before some decision of it."""
    return (event["arrival"] <= F.col("night")) & (event["ts"] < F.col("last"))


def _moments() -> Column:
    """When more became known of an entry, oldest first; that it was shown is the first of them."""
    later = F.filter("events", lambda e: e["ts"] > F.col("ts"))
    times = F.concat(F.array("ts"), F.transform(later, lambda e: e["ts"]))
    return F.array_sort(F.array_distinct(F.coalesce(times, F.array("ts"))))


def _beginnings() -> Column:
    """The moments after which some decision of the night saw the entry as it was then."""
    return F.filter(
        "_at",
        lambda moment: ~F.exists("_at", lambda m: (m > moment) & (m < F.col("first"))),
    )


def _reward(objective: Objective) -> Column:
    """What was known from ``known_from`` on; an event that names no request has no window."""
    last = F.date_add("shown_night", objective.window_nights)
    mine = F.lit(objective.event)

    def counts(event: Column) -> Column:
        inside = F.col("event").isNotNull() | (event["arrival"] <= last)
        named = F.coalesce(event["event"], mine) == mine
        return inside & named & (event["ts"] <= F.col("known_from"))

    return reward(F.filter("events", counts), objective)
