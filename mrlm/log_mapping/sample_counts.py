"""What a sample counts: kinds of events, how late they come, and nights."""

from __future__ import annotations

from collections import Counter

from mrlm.log_mapping.column_facts import ColumnFacts
from mrlm.log_mapping.proposal import MappedTable, TableMapping

_SHOWN_KINDS = 30
_DAY = 86_400
# A window takes in so many of the events; no proposal is longer.
_MOST, _LONGEST_WINDOW = 0.98, 14


def event_kinds(tables: dict[MappedTable, TableMapping]) -> dict[str, int]:
    """Kind of event to how often the sample has it, the most frequent ones."""
    counted: Counter[str] = Counter()
    for name in ("feedback", "events"):
        mapping = tables.get(name)
        if mapping is None:
            continue
        if mapping.events:
            for event, source in mapping.events.items():
                column = mapping.facts.get(source.lstrip("-"))
                counted[event] += sum(n != 0 for n in column.numbers) if column else 0
        else:
            counted.update(mapping.texts("event").values())
    return dict(counted.most_common(_SHOWN_KINDS))


def day_of_rows(times: ColumnFacts) -> dict[int, int]:
    """Row to the day of its time, counted from 1970; rows without a time are left out."""
    return {
        i: int(s // _DAY) for i, s in zip(times.at, times.seconds, strict=True) if s is not None
    }


def night_count(shown: TableMapping | None) -> int:
    """Nights by the paths, else by the times of a file that was read whole; 0: not known."""
    if shown is None:
        return 0
    if shown.sampled.nights:
        return len(shown.sampled.nights)
    column = shown.column("ts")
    if column is None or not shown.sampled.whole:
        return 0
    return len(set(day_of_rows(column).values()))


def event_windows(tables: dict[MappedTable, TableMapping]) -> dict[str, int]:
    """Kind of event to the nights after a show within which nearly all of them come."""
    shown, fed = tables.get("impressions"), tables.get("feedback")
    if shown is None or fed is None or fed.events:
        return {}
    times, events = shown.column("ts"), fed.column("ts")
    if times is None or events is None:
        return {}
    requests = shown.texts("request_id")
    when = {
        requests[i]: s for i, s in zip(times.at, times.seconds, strict=True) if i in requests and s
    }
    named, kinds = fed.texts("request_id"), fed.texts("event")
    nights: dict[str, list[int]] = {}
    for i, seconds in zip(events.at, events.seconds, strict=True):
        show = when.get(named.get(i, ""))
        if show is not None and seconds is not None and i in kinds:
            nights.setdefault(kinds[i], []).append(int(seconds // _DAY) - int(show // _DAY))
    return {
        kind: min(max(sorted(found)[int(_MOST * (len(found) - 1))], 0), _LONGEST_WINDOW)
        for kind, found in nights.items()
    }
