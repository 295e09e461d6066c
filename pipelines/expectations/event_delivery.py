"""Whether a night's events were delivered whole: counted by Spark, judged by pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.log_checks.delivery import Delivery, event_rows, judge_delivery
from mrlm.log_checks.losses import EventLoss, LossSign, NightEvents, losses
from mrlm.messages.message import Message
from pipelines.expectations.suite import Rule
from pipelines.settings.model import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BETWEEN = "ExpectColumnValuesToBeBetween"
_NAMED_ITEMS = 5


@dataclass(frozen=True)
class EventCounts:
    """Events of a night.

    Attributes:
        by_item: from ``count_events``.
        by_hour: event to its rows about slots of the night itself, by the hour of their time in
            UTC, 24 numbers; the events of ``by_item``.
    """

    by_item: pa.Table
    by_hour: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class CameEvents(EventCounts):
    """Events of the night that is judged.

    Attributes:
        rows: event to its rows, whichever night their slots are of.
    """

    rows: Mapping[str, int]

    def rates(self, impressions: int) -> dict[str, float]:
        """Events an impression, by their names."""
        return {e: n / max(impressions, 1) for e, n in self.rows.items()}


@dataclass(frozen=True)
class Judged:
    """The deliveries of a night's events.

    Attributes:
        deliveries: one an event.
        losses: what the rates show of each.
        items: string array that signs about items count into.
    """

    deliveries: tuple[Delivery, ...]
    losses: tuple[EventLoss, ...]
    items: pa.Array

    def to_json(self) -> dict[str, Any]:
        """Event to its delivery and the smallest loss that its rate would show; plain data."""
        found = {}
        for delivery, loss in zip(self.deliveries, self.losses, strict=True):
            smallest = loss.smallest_loss
            found[delivery.event] = delivery.to_json() | {
                "smallest_loss": None if np.isnan(smallest) else round(smallest, 4)
            }
        return found


def counted(impressions: DataFrame, feedback: DataFrame, events: Sequence[str]) -> CameEvents:
    """The events of a night's clean tables."""
    from pyspark.sql import functions as F

    by_item = count_events(impressions, feedback, events)
    own = F.col("impression_night") == F.col("arrival")
    hours = (
        feedback.filter(F.col("event").isin(*events))
        .groupBy("event", F.hour("ts").alias("hour"))
        .agg(F.count("*").alias("rows"), F.count_if(own).alias("own"))
        .collect()
    )
    by_hour, rows = {e: [0] * 24 for e in events}, dict.fromkeys(events, 0)
    for found in hours:
        by_hour[found["event"]][found["hour"]] = found["own"]
        rows[found["event"]] += found["rows"]
    return CameEvents(by_item, by_hour, rows)


def count_events(impressions: DataFrame, feedback: DataFrame, events: Sequence[str]) -> pa.Table:
    """Slots of a night that arrived on it, and those of them with each event, by item.

    Columns ``item_id``, ``shows`` and ``hits_<i>`` of each event, by its place in ``events``. An
    event counts that arrived on the slot's own night: later ones are another night's delivery. Of
    an item that a request shows twice the two slots have one event. Requests are told apart by a
    hash, which is quicker than by their names.
    """
    from pyspark.sql import functions as F

    slots = impressions.filter("night = arrival").groupBy("item_id")
    shows = slots.agg(F.count("*").alias("shows")).toArrow().combine_chunks().sort_by("item_id")
    own = (F.col("impression_night") == F.col("arrival")) & F.col("event").isin(*events)
    by_item = feedback.filter(own).groupBy("event", "item_id")
    hits = by_item.agg(F.count_distinct(F.xxhash64("request_id")).alias("hits")).toArrow()
    known = pc.index_in(hits["item_id"], value_set=shows["item_id"].combine_chunks())
    place = pc.fill_null(known, -1).to_numpy()
    number = hits["hits"].to_numpy()
    table: pa.Table = shows
    for i, event in enumerate(events):
        mine = pc.equal(hits["event"], event).to_numpy() & (place >= 0)
        found = np.zeros(len(shows), np.int64)
        found[place[mine]] = number[mine]
        table = table.append_column(f"hits_{i}", pa.array(found))
    return table


def night_events(counted: EventCounts, items: pa.Array) -> list[NightEvents]:
    """The arrays that the rates are judged by, one entry an event.

    ``items``, of strings, are all that any compared night knows.
    """
    place = pc.index_in(counted.by_item["item_id"], items).to_numpy()

    def spread(name: str) -> NDArray[np.int64]:
        out = np.zeros(len(items), np.int64)
        out[place] = counted.by_item[name].to_numpy()
        return out

    shows = spread("shows")
    found = []
    for i, hours in enumerate(counted.by_hour.values()):
        hits = spread(f"hits_{i}")
        found.append(
            NightEvents(int(shows.sum()), int(hits.sum()), np.array(hours, float), shows, hits)
        )
    return found


def judge_night(
    counts: Mapping[str, Any],
    now: EventCounts,
    trailing: Sequence[EventCounts],
    settings: Settings,
    sent: Mapping[str, int] | None,
) -> Judged:
    """What a night's deliveries are worth.

    Args:
        counts: of the ingestion.
        now: the night.
        trailing: nights before it whose deliveries were whole, or were accepted.
        settings: shares and errors.
        sent: events that the logger says it sent, by name; None: it does not say.
    """
    events = list(now.by_hour)
    known = [t for t in trailing if list(t.by_hour) == events]
    parts = [t.by_item["item_id"] for t in (now, *known)]
    items = pc.unique(pa.chunked_array([c for p in parts for c in p.chunks], pa.string()))
    found = losses(
        night_events(now, items),
        [night_events(t, items) for t in known],
        settings.validation.loss_error,
    )
    of_event = counts.get("events", {})
    judged = tuple(
        judge_delivery(
            event,
            event_rows(of_event, event),
            event_rows(of_event, ""),
            None if sent is None else sent.get(event),
            tuple(f.sign for f in loss.signs) + _too_few(of_event, event, settings),
            settings.validation.doubtful_share,
            unattributed_are_lost=settings.ingestion.unattributed == "lost",
        )
        for event, loss in zip(events, found, strict=True)
    )
    return Judged(judged, found, items)


def _too_few(of_event: Mapping[str, Any], event: str, settings: Settings) -> tuple[str, ...]:
    least = settings.validation.least_events.get(event, 0)
    return ("fewer than ever",) if event_rows(of_event, event).clean < least else ()


def statistics(counts: Mapping[str, Any], judged: Judged) -> dict[str, float]:
    """The columns that the rules speak of."""
    of_event = counts.get("events", {})
    found: dict[str, float] = {}
    known = [event_rows(of_event, d.event) for d in judged.deliveries]
    clean = sum(a.clean for a in known)
    found["unattributed_share"] = sum(a.unattributed for a in known) / max(clean, 1)
    for i, (delivery, loss) in enumerate(zip(judged.deliveries, judged.losses, strict=True)):
        found[f"doubtful_share_{i}"] = delivery.doubtful_share
        found[f"surplus_{i}"] = float(delivery.surplus)
        found[f"counted_{i}"] = float(delivery.sent is not None)
        worst = _worst(loss) if delivery.missing else None
        found[f"came_{i}"] = 1.0
        if worst is not None:
            found[f"came_{i}"] = min(worst.observed / max(worst.expected, 1e-9), 0.999)
        elif delivery.missing:
            found[f"came_{i}"] = 0.0
    return found


def rules(settings: Settings, judged: Judged) -> list[Rule]:
    """What the deliveries must satisfy; columns of ``statistics``."""
    validation = settings.validation
    found = [
        Rule(
            Message("feedback of known impressions"),
            _BETWEEN,
            {"column": "unattributed_share", "max_value": validation.unattributed_share},
            Message(
                "a share of at most {most:g} joins no impression",
                most=validation.unattributed_share,
            ),
            Message(
                "Their request or item ids are those of no impression, so that clicks would be "
                "missing where they belong: see whether the two logs write the same ids."
            ),
            "critical" if settings.ingestion.unattributed == "lost" else "warning",
        )
    ]
    for i, (delivery, loss) in enumerate(zip(judged.deliveries, judged.losses, strict=True)):
        event = delivery.event
        found.append(
            Rule(
                Message("all {event} events arrived", event=event),
                _BETWEEN,
                {"column": f"came_{i}", "min_value": 1.0},
                _expected(delivery, loss, judged.items),
                Message(
                    "Rewards from {event} of the nights that they belong to are unknown, neither "
                    "0 nor final, until the night is delivered again or accepted with 'mrlm "
                    "accept'.",
                    event=event,
                ),
                "warning",
            )
        )
        if any(d.sent is not None for d in judged.deliveries):
            found += _count_rules(event, i)
        found.append(
            Rule(
                Message("readable {event} events", event=event),
                _BETWEEN,
                {"column": f"doubtful_share_{i}", "max_value": validation.doubtful_share},
                Message(
                    "a share of at most {most:g} was quarantined, joined nothing or is missing "
                    "from the logger's own count",
                    most=validation.doubtful_share,
                ),
                Message(
                    "Beyond it the rewards from {event} are unknown, neither 0 nor final.",
                    event=event,
                ),
                "warning",
            )
        )
    return found


def _count_rules(event: str, place: int) -> list[Rule]:
    """What the logger's own count of an event must be, where it counts any."""
    return [
        Rule(
            Message("a count of sent {event} events", event=event),
            _BETWEEN,
            {"column": f"counted_{place}", "min_value": 1.0},
            Message("a number of {event} in the file of inputs.sent_path, be it 0", event=event),
            Message("Without one the delivery is judged by its rates alone."),
            "warning",
        ),
        Rule(
            Message("no more {event} events than were sent", event=event),
            _BETWEEN,
            {"column": f"surplus_{place}", "max_value": 0.0},
            Message("as many different events as the logger counted, or fewer"),
            Message("It counts something else, so the delivery is judged by its rates too."),
            "warning",
        ),
    ]


def loss_limits(judged: Judged) -> list[str]:
    """One sentence an event: which loss would have been found."""
    return [
        Message(
            "{event} events lost at random show from {loss:.0%} on, with a chance of 80 %; of "
            "fewer only a count of what was sent would tell",
            event=delivery.event,
            loss=loss.smallest_loss,
        )
        for delivery, loss in zip(judged.deliveries, judged.losses, strict=True)
        if not np.isnan(loss.smallest_loss)
    ]


def _worst(loss: EventLoss) -> LossSign | None:
    return min(loss.signs, key=lambda f: f.p_value, default=None)


def _expected(delivery: Delivery, loss: EventLoss, items: pa.Array) -> Message:
    """What was to be expected, in words; the sign that is clearest where there is one."""
    worst = _worst(loss)
    if worst is None:
        if delivery.missing:
            return Message("at least as many as validation.least_events says")
        smallest = loss.smallest_loss
        if np.isnan(smallest):
            return Message("nothing to compare with yet")
        return Message(
            "as on the trailing nights; a loss of {loss:.0%} or more would show", loss=smallest
        )
    about = Message(
        "about {expected:,.0f} instead of {observed:,.0f}",
        expected=worst.expected,
        observed=worst.observed,
    )
    if worst.sign == "hours":
        hours = ", ".join(f"{h:02d}" for h in worst.where)
        return Message(
            "{about} in the hours {hours} UTC, by the other hours", about=about, hours=hours
        )
    if worst.sign == "items":
        named = ", ".join(items[i].as_py() for i in worst.where[:_NAMED_ITEMS])
        more = len(worst.where) - _NAMED_ITEMS
        if more > 0:
            named = Message("{items} and {more} more", items=named, more=more)
        return Message(
            "{about} of the items {items}, by their earlier rates", about=about, items=named
        )
    if worst.sign == "rate":
        return Message("{about}, by the trailing nights", about=about)
    return Message("{about}, by the other events and the trailing nights", about=about)
