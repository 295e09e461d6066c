"""Reward vectors from the events of a shown slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from mrlm.bandit_log import Objective


def events_by_slot(feedback: DataFrame) -> DataFrame:
    """request_id, item_id and ``events``: (ts, event_id, event, value, arrival), oldest first."""
    event = F.struct("ts", "event_id", "event", "value", "arrival")
    grouped = feedback.groupBy("request_id", "item_id")
    return grouped.agg(F.sort_array(F.collect_list(event)).alias("events"))


def counted(events: Column, objective: Objective, night: Column) -> Column:
    """The events that the objective reads, of a slot of ``night``: those inside its window."""
    last = F.date_add(night, objective.window_nights)
    return F.filter(events, lambda e: (e["event"] == objective.event) & (e["arrival"] <= last))


def reward(events: Column, objective: Objective) -> Column:
    """The objective's value, double, null where ``events`` is empty or null.

    ``value`` and ``at_least`` look at the last event by (ts, event_id).
    """
    last = F.try_element_at(events, F.lit(-1))
    if objective.transform == "value":
        return last["value"]
    if objective.transform == "at_least":
        reached = F.when(last["value"] >= objective.threshold, 1.0).otherwise(0.0)
        return F.when(last.isNotNull(), reached)
    return F.when(last.isNotNull(), 1.0)


def reward_columns(
    objectives: Sequence[Objective], final: Mapping[str, Mapping[str, bool]]
) -> dict[str, Column]:
    """``reward_<name>`` and ``final_<name>`` of every feedback objective.

    ``final`` is night to objective to whether no later event can change it; absent means not. A
    slot with no event takes the objective's ``missing`` once it is final, and is null before.
    """
    out: dict[str, Column] = {}
    for objective in objectives:
        if objective.source != "feedback":
            continue
        closed = sorted(n for n, by_name in final.items() if by_name.get(objective.name, False))
        is_final = (
            F.col("night").isin(*[F.to_date(F.lit(n)) for n in closed]) if closed else F.lit(False)
        )
        value = reward(counted(F.col("events"), objective, F.col("night")), objective)
        if objective.missing is not None:
            value = F.coalesce(value, F.when(is_final, float(objective.missing)))
        out[f"reward_{objective.name}"] = value
        out[f"final_{objective.name}"] = is_final
    return out
