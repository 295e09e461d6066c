"""What a user had been shown before a decision, and what was known of it then."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from mrlm.bandit_log import Objective
from spark_jobs.rewards import counted, reward


def histories(
    slots: DataFrame,
    decisions: DataFrame,
    objective: Objective,
    length: int,
    nights: int,
    told: DataFrame | None = None,
) -> DataFrame:
    """user, request_id, ts and ``history_items``, ``history_values``, oldest first.

    An entry is a slot shown to the user strictly before ``ts``, in another request, on one of the
    ``nights`` nights before the decision's or on that night; the most recent ``length`` are kept.
    Its value is the objective's as the events stood: those with a time before ``ts`` that had
    arrived by the decision's night. NaN where there was none. An event that names no request is an
    entry of its own, of its item, with a value where it is the objective's event; it counts from
    the night on which it arrived.

    Args:
        slots: user, request_id, ts, night, position, item_id, events of all shown slots.
        decisions: user, request_id, ts, night of the decisions.
        objective: whose value is kept.
        length: at most so many entries.
        nights: how far back.
        told: ``HISTORY``, events of the users that name no request.
    """
    entry = F.struct(
        "ts",
        "request_id",
        "position",
        "item_id",
        "night",
        counted(F.col("events"), objective, F.col("night")).alias("events"),
        F.col("night").alias("came"),
    )
    entries = slots.select("user", entry.alias("entry"))
    if told is not None:
        entries = entries.unionByName(_entries(told, objective))
    shown = entries.groupBy("user").agg(F.sort_array(F.collect_list("entry")).alias("shown"))
    moments = decisions.select("user", "request_id", "ts", "night").distinct()
    before = F.filter(
        "shown",
        lambda s: (
            (s["ts"] < F.col("ts"))
            & (s["request_id"] != F.col("request_id"))
            & (s["night"] >= F.date_sub("night", nights))
            & (s["came"] <= F.col("night"))
        ),
    )
    start = F.greatest(F.size("before") - length, F.lit(0)) + 1
    joined = moments.join(shown, "user").withColumn("before", before)
    recent = joined.withColumn("recent", F.slice("before", start, length))
    return recent.select(
        "user",
        "request_id",
        "ts",
        F.transform("recent", lambda s: s["item_id"]).alias("history_items"),
        F.transform("recent", lambda s: _value(s["events"], objective)).alias("history_values"),
    )


def _entries(told: DataFrame, objective: Objective) -> DataFrame:
    """``user`` and ``entry`` of events that name no request, which no request's id equals."""
    event = F.struct("ts", "event_id", "event", "value", "arrival")
    mine = F.filter(F.array(event), lambda e: e["event"] == objective.event)
    entry = F.struct(
        "ts",
        F.lit("").alias("request_id"),
        F.lit(0).alias("position"),
        "item_id",
        "night",
        mine.alias("events"),
        F.col("arrival").alias("came"),
    )
    return told.select("user", entry.alias("entry"))


def _value(events: Column, objective: Objective) -> Column:
    known = F.filter(events, lambda e: (e["ts"] < F.col("ts")) & (e["arrival"] <= F.col("night")))
    return F.coalesce(reward(known, objective), F.lit(float("nan"))).cast("float")
