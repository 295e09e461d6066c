"""What is known of one event's delivery on one night: whole, bounded by a count, or unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class EventRows:
    """What became of the rows of one event that arrived on one night.

    Attributes:
        clean: taken.
        duplicate: repeats of an earlier row.
        late: came after their window.
        attributed: clean, of one known slot.
        ambiguous: clean, of an item that was shown more than once in the request.
        left_out: clean, of an impression that was not taken itself.
        unattributed: clean, of no known impression.
        placed: quarantined, but naming a slot.
        unplaced: quarantined, and naming none.
        forgotten: of people who were forgotten; they count as delivered.
    """

    clean: int = 0
    duplicate: int = 0
    late: int = 0
    attributed: int = 0
    ambiguous: int = 0
    left_out: int = 0
    unattributed: int = 0
    placed: int = 0
    unplaced: int = 0
    forgotten: int = 0

    @property
    def events(self) -> int:
        """Events that arrived, each counted once however often it was delivered."""
        return self.clean + self.late + self.placed + self.unplaced + self.forgotten


@dataclass(frozen=True)
class Delivery:
    """How far one event's delivery of one night can be trusted.

    Attributes:
        event: its name.
        state: ``whole``: a slot without the event had none. ``bounded``: some events are lost, and
            at most ``lost`` of the slots without one had one. ``unknown``: a slot without the event
            may have had one.
        unread: slots of which an event came that could not be read.
        unplaced: events that could not be read and name no slot, of this event or of any.
        unattributed: events of no known impression, where those count as lost.
        undelivered: events that the logger sent, by its own count, and that did not arrive.
        surplus: events that arrived beyond that count.
        sent: that count; None: the logger does not say.
        doubtful_share: of the events that came or should have come, those that are lost or unread.
        missing: what the rates show; empty, or the night's ``unknown`` has this reason.
    """

    event: str
    state: Literal["whole", "bounded", "unknown"]
    unread: int = 0
    unplaced: int = 0
    unattributed: int = 0
    undelivered: int = 0
    surplus: int = 0
    sent: int | None = None
    doubtful_share: float = 0.0
    missing: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """Events that belong to nobody knows which slot."""
        return self.unplaced + self.unattributed + self.undelivered

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "missing": list(self.missing), "lost": self.lost}


def judge_delivery(
    event: str,
    arrived: EventRows,
    unnamed: EventRows,
    sent: int | None,
    missing: tuple[str, ...],
    doubtful_share: float,
    *,
    unattributed_are_lost: bool,
) -> Delivery:
    """What one event's delivery is worth.

    A count of what was sent settles what rates can only suggest: where it is met, a fall of the
    rate is a fall of the rate. A count that more events came than were sent settles nothing: it
    counts something else. Whatever is known to be lost bounds what it could change; beyond
    ``doubtful_share`` of the events the bound would say nothing, and the delivery is unknown.

    Args:
        event: its name.
        arrived: what became of its rows.
        unnamed: what became of rows whose event could not be read; they may be of this one.
        sent: events that the logger says it sent for the night, each once; None: it does not say.
        missing: signs of the rates that events are missing; see ``losses``.
        doubtful_share: of the events that came or should have come, in (0, 1).
        unattributed_are_lost: whether events of no known impression are taken for events of the
            log's impressions, rather than of pages that the log does not hold.
    """
    undelivered = 0 if sent is None else max(sent - arrived.events, 0)
    surplus = 0 if sent is None else max(arrived.events - sent, 0)
    unattributed = arrived.unattributed if unattributed_are_lost else 0
    doubtful = arrived.placed + arrived.unplaced + unattributed + undelivered
    share = doubtful / max(arrived.clean - unattributed + doubtful, 1)
    signs = missing if sent is None or surplus else ()
    # What the count misses includes the rows whose event could not be read.
    unplaced = arrived.unplaced + (unnamed.unplaced if sent is None else 0)
    if signs or share > doubtful_share:
        state: Literal["whole", "bounded", "unknown"] = "unknown"
    elif unplaced + unattributed + undelivered + arrived.placed + unnamed.placed:
        state = "bounded"
    else:
        state = "whole"
    return Delivery(
        event,
        state,
        unread=arrived.placed + unnamed.placed,
        unplaced=unplaced,
        unattributed=unattributed,
        undelivered=undelivered,
        surplus=surplus,
        sent=sent,
        doubtful_share=share,
        missing=signs,
    )


def event_rows(counts: Mapping[str, Mapping[str, int]], event: str) -> EventRows:
    """From the counts of ingestion; all 0 where it did not count this event."""
    return EventRows(**counts.get(event, {}))
