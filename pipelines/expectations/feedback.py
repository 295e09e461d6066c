"""Expectations on a night's feedback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mrlm.messages.message import Joined, Message
from pipelines.expectations.row_rules import RowRule
from pipelines.expectations.suite import Rule
from pipelines.settings.validation import Validation

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_jobs.contract.clock import NightClock

SHOWN = ("event_id", "request_id", "item_id", "event", "value", "nights_late")


def prepared(rows: DataFrame, events: Sequence[str], clock: NightClock) -> DataFrame:
    """Clean feedback with the derived columns that the rules speak of.

    ``events`` are those that the objectives read, ``clock`` says which night a time is in.
    """
    from pyspark.sql import functions as F

    finite = F.abs("value") < float("inf")
    return rows.withColumns(
        {
            "finite": F.coalesce(finite, F.lit(False)).cast("int"),
            "nights_late": F.date_diff("arrival", clock.night(F.col("ts"))),
            "declared": F.col("event").isin(*events).cast("int"),
        }
    )


def row_rules(events: Sequence[str]) -> list[RowRule]:
    """What every event must satisfy; ``events`` are those that the objectives read."""
    return [
        RowRule(
            Message("one row an event"),
            Message("event_id is unique"),
            Message("An event that counts twice changes rewards."),
            keys=("event_id",),
        ),
        RowRule(
            Message("finite value"),
            Message("value is a finite number"),
            Message("One NaN reward makes every mean NaN."),
            failing="finite = 0",
        ),
        RowRule(
            Message("not from the future"),
            Message("the event is not later than its arrival night"),
            Message("A history would know what had not happened."),
            failing="nights_late < 0",
        ),
        RowRule(
            Message("declared event"),
            Message("event is one of {events}", events=Joined(", ", events)),
            Message("No objective reads it: a new kind of event, or a changed name."),
            failing="declared = 0",
            severity="warning",
        ),
    ]


def statistic_rules(
    settings: Validation, found: Mapping[str, Any], trailing: Sequence[Mapping[str, Any]]
) -> list[Rule]:
    """What the night's feedback must satisfy together; columns of the statistics table."""
    between = "ExpectColumnValuesToBeBetween"
    rules = [
        Rule(
            Message("feedback in quarantine"),
            between,
            {"column": "feedback_quarantined_share", "max_value": settings.quarantined_share},
            Message("a share of at most {most:g}", most=settings.quarantined_share),
            Message("Missing events look like uninterested users."),
            "warning",
        )
    ]
    if not trailing or found.get("feedback_rate_ratio") is None:
        return rules
    low, high = settings.feedback_rate_ratio
    return [
        *rules,
        Rule(
            Message("some feedback"),
            between,
            {"column": "feedback_rate", "min_value": 0, "strict_min": True},
            Message("more than none, as on the trailing nights"),
            Message("A lost delivery would be learned as a night on which nobody liked anything."),
        ),
        Rule(
            Message("as much feedback as usual"),
            between,
            {"column": "feedback_rate_ratio", "min_value": low, "max_value": high},
            Message(
                "{low:g} to {high:g} times the median of the trailing nights, per impression",
                low=low,
                high=high,
            ),
            Message("Part of the events may be missing or doubled."),
            "warning",
        ),
    ]
