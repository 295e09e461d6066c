"""Reward vectors from the events of a shown slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from mrlm.bandit_log import Objective


def events_by_slot(feedback: DataFrame) -> DataFrame:
    """request_id, item_id and ``events``: (ts, event_id, event, value, arrival), oldest first."""
    event = F.struct("ts", "event_id", "event", "value", "arrival")
    grouped = feedback.groupBy("request_id", "item_id")
    return grouped.agg(F.sort_array(F.collect_list(event)).alias("events"))


def counted(events: Column, objective: Objective, night: Column) -> Column:
    """The events that the objective reads, of a slot of ``night``: those inside its window.

    An event without a name may be any, and is among them.
    """
    last = F.date_add(night, objective.window_nights)
    mine = F.lit(objective.event)
    return F.filter(
        events, lambda e: (F.coalesce(e["event"], mine) == mine) & (e["arrival"] <= last)
    )


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
    return F.when(last.isNotNull(), 0.0 if objective.transform == "none" else 1.0)


def unread_by_slot(unread: DataFrame) -> DataFrame:
    """request_id, item_id and ``unread``: (event, arrival) of what could not be read."""
    grouped = unread.groupBy("request_id", "item_id")
    return grouped.agg(F.collect_list(F.struct("event", "arrival")).alias("unread"))


@dataclass(frozen=True)
class Delivered:
    """What is known of the delivery of an objective's events, by the night of the slots.

    Attributes:
        final: nights whose window has closed and whose deliveries are taken as whole.
        doubtful: nights whose window has closed, with a delivery that is not whole.
        lost: night to events that are lost and belong to nobody knows which slot.
    """

    final: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    lost: Mapping[str, int] = field(default_factory=dict)


def reward_columns(
    objectives: Sequence[Objective], delivered: Mapping[str, Delivered]
) -> dict[str, Column]:
    """``reward_``, ``final_``, ``unknown_`` and ``lost_<name>`` of every feedback objective.

    A slot with no event takes the objective's ``missing`` where its reward is final, and is null
    elsewhere. A slot of which an event came that could not be read is unknown, unless no further
    event could change its reward.

    Args:
        objectives: those of the reward vector.
        delivered: objective to what is known of its deliveries; absent: nothing is final.
    """
    out: dict[str, Column] = {}
    night = F.col("night")
    for objective in objectives:
        if objective.source != "feedback":
            continue
        known = delivered.get(objective.name, Delivered())
        value = reward(counted(F.col("events"), objective, night), objective)
        came = counted(F.col("unread"), objective, night)
        unread = F.coalesce(F.size(came) > 0, F.lit(False))
        if objective.transform in ("any", "none"):
            unread = unread & value.isNull()
        final = _among(night, known.final) & ~unread
        unknown = _among(night, known.doubtful) | (_among(night, known.final) & unread)
        if objective.missing is not None:
            value = F.coalesce(value, F.when(final, float(objective.missing)))
        out[f"reward_{objective.name}"] = value
        out[f"final_{objective.name}"] = final
        out[f"unknown_{objective.name}"] = unknown
        out[f"lost_{objective.name}"] = _by_night(night, known.lost)
    return out


def _among(night: Column, nights: frozenset[str]) -> Column:
    dates = [F.to_date(F.lit(n)) for n in sorted(nights)]
    return night.isin(*dates) if dates else F.lit(False)


def _by_night(night: Column, numbers: Mapping[str, int]) -> Column:
    found = F.lit(0)
    for name, number in sorted(numbers.items()):
        if number:
            found = F.when(night == F.to_date(F.lit(name)), number).otherwise(found)
    return found.cast("int")
