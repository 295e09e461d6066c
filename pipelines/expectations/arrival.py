"""Expectations on the times of a table's rows against the night on which they arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mrlm.messages.message import Message, Name
from pipelines.expectations.suite import Rule, Severity
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.validation import Validation

TABLES = ("impressions", "feedback")

_NIGHT = 24
# A day and a half either way: every time zone, and files that are named by the day after.
_FARTHEST = 36
# Where fewer rows lie within one night of any clock, several nights came together: deliveries were
# delayed, and no clock explains it.
_WITHIN = 0.9
# A handful of stragglers is no shift.
_FEWEST = 10
_EXPECTATION = "ExpectColumnValuesToBeBetween"


@dataclass(frozen=True)
class ClockShift:
    """How far the clock that cut a table's files is ahead of that of the nights.

    Attributes:
        hours: whole hours; below 0 it is behind, 0 where the two agree or nothing can be said.
        share: of the rows with a time: what lies outside the arrival night and would lie in it
            by the other clock, less what would then leave it.
    """

    hours: int = 0
    share: float = 0.0


def clock_shift(hours: Mapping[int, int]) -> ClockShift:
    """The clock by which most of the rows lie within the night of their files.

    Of clocks that do equally well the nearest to that of the nights is taken, so that quiet hours
    are no shift. A loss at either end of the day and rows of other nights leave it where it is.

    Args:
        hours: rows by the hours, rounded down, from the start of the arrival night to their time.
    """
    rows = sum(hours.values())

    def within(shift: int) -> int:
        return sum(n for h, n in hours.items() if -shift <= h < _NIGHT - shift)

    near_first = sorted(range(-_FARTHEST, _FARTHEST + 1), key=abs)
    best = max(near_first, key=within)
    moved = within(best) - within(0)
    if moved < _FEWEST or within(best) < _WITHIN * rows:
        return ClockShift()
    return ClockShift(best, moved / rows)


def statistics(counts: Mapping[str, Any]) -> dict[str, float | None]:
    """Numbers of the times of impressions and feedback, from what ingestion counted.

    For each table: ``late_share`` and ``future_share`` of its raw rows, ``displacement_hours`` (the
    median time of its rows less the middle of the arrival night; None without rows), and
    ``shift_hours`` and ``shifted_share``, see ``clock_shift``. Keys begin with the table's name.
    """
    found: dict[str, float | None] = {}
    for table in TABLES:
        of_table = counts[table]
        raw = max(of_table["raw"], 1)
        by_hour = counts.get("arrival_hours", {}).get(table, {})
        hours = {int(hour): n for hour, n in by_hour.items()}
        shift = clock_shift(hours)
        found |= {
            f"{table}_late_share": of_table.get("late", 0) / raw,
            f"{table}_future_share": of_table["quarantined"].get("future_ts", 0) / raw,
            f"{table}_displacement_hours": _median(hours),
            f"{table}_shift_hours": shift.hours,
            f"{table}_shifted_share": shift.share,
        }
    return found


def statistic_rules(
    settings: Validation, ingestion: Ingestion, table: str, found: Mapping[str, Any]
) -> list[Rule]:
    """What the times of a table must satisfy together; columns of the statistics table."""
    return [
        _shift_rule(settings, ingestion, table, found),
        Rule(
            Message("late {table}", table=Name(table)),
            _EXPECTATION,
            {"column": f"{table}_late_share", "max_value": settings.late_share},
            Message(
                "a share of at most {most:g} that arrives after its time is over",
                most=settings.late_share,
            ),
            Message(
                "Late rows are kept and not learned from: deliveries were delayed, or the days of "
                "the files are not the nights."
            ),
            "warning",
        ),
        Rule(
            Message("{table} from the future", table=Name(table)),
            _EXPECTATION,
            {"column": f"{table}_future_share", "max_value": settings.future_share},
            Message(
                "a share of at most {most:g} later than the arrival night",
                most=settings.future_share,
            ),
            Message(
                "They are in quarantine: a clock is wrong, or the files' days are not the nights."
            ),
            "warning",
        ),
    ]


def _shift_rule(
    settings: Validation, ingestion: Ingestion, table: str, found: Mapping[str, Any]
) -> Rule:
    warns, stops = settings.shifted_share
    critical = found[f"{table}_shifted_share"] > stops
    largest = stops if critical else warns
    severity: Severity = "critical" if critical else "warning"
    return Rule(
        Message("times of {table} lie in the night", table=Name(table)),
        _EXPECTATION,
        {"column": f"{table}_shifted_share", "max_value": largest},
        _told(ingestion, int(found[f"{table}_shift_hours"]), largest),
        Message(
            "Rows move to other nights, their feedback comes after its window, and rewards are "
            "missed."
        ),
        severity,
    )


def _told(ingestion: Ingestion, hours: int, largest: float) -> Message:
    told = Message(
        "a share of at most {most:g} that another clock would put into the night", most=largest
    )
    if not hours:
        return told
    looks = Message(
        "{expected}; the log looks shifted by about {hours:+d} h against nights of {zone} from "
        "{starts}",
        expected=told,
        hours=hours,
        zone=ingestion.time_zone,
        starts=ingestion.night_starts,
    )
    if abs(hours) > _NIGHT // 2 + 2:
        return Message(
            "{looks}: its files seem to be named by another day than that of their rows",
            looks=looks,
        )
    return Message(
        "{looks}: set ingestion.time_zone to the zone whose days cut the log (and in which its "
        "times are, if they name no offset), ingestion.night_starts to the hour at which they "
        "begin",
        looks=looks,
    )


def _median(hours: Mapping[int, int]) -> float | None:
    rows, seen = sum(hours.values()), 0
    for hour in sorted(hours):
        seen += hours[hour]
        if 2 * seen >= rows > 0:
            return hour + 0.5 - _NIGHT / 2
    return None
