"""Expectations on a night's events that name no request, which only histories are made of.

None of them stops the night: a history that lacks events is poorer, but no reward rests on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mrlm.messages.message import Message
from pipelines.expectations.row_rules import RowRule
from pipelines.expectations.suite import Rule

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.settings.validation import Validation

TABLE = "history"
SHOWN = ("event_id", "item_id", "event", "value", "nights_ahead")
_BETWEEN = "ExpectColumnValuesToBeBetween"


def prepared(rows: DataFrame, catalog: DataFrame) -> DataFrame:
    """The clean events with the derived columns that the rules speak of.

    ``catalog`` is that of the night, with ``item_id``.
    """
    from pyspark.sql import functions as F

    known = catalog.select("item_id").distinct().withColumn("in_catalog", F.lit(1))
    finite = F.abs("value") < float("inf")
    return rows.join(F.broadcast(known), "item_id", "left").withColumns(
        {
            "finite": F.coalesce(finite, F.lit(False)).cast("int"),
            "nights_ahead": F.date_diff("night", "arrival"),
            "in_catalog": F.coalesce("in_catalog", F.lit(0)),
        }
    )


def row_rules(settings: Validation) -> list[RowRule]:
    """What every event, or nearly every one, must satisfy."""
    most = settings.unknown_history_items
    return [
        RowRule(
            Message("one row an event"),
            Message("event_id is unique"),
            Message("An event that counts twice looks like more interest than there was."),
            keys=("event_id",),
            severity="warning",
        ),
        RowRule(
            Message("finite value"),
            Message("value is a finite number"),
            Message("One NaN makes every mean of a history NaN."),
            failing="finite = 0",
            severity="warning",
        ),
        RowRule(
            Message("not from the future"),
            Message("the event is not later than its arrival night"),
            Message("A history would know what had not happened."),
            failing="nights_ahead > 0",
            severity="warning",
        ),
        RowRule(
            Message("items of the catalogue"),
            Message("item_id is known, but for a share of {most:g}", most=most),
            Message(
                "Nothing is known of such an item, so the event tells nothing of its user: see "
                "whether the table writes the catalogue's ids."
            ),
            failing="in_catalog = 0",
            most=most,
            severity="warning",
        ),
    ]


def statistic_rules(
    settings: Validation, found: Mapping[str, Any], trailing: Sequence[Mapping[str, Any]]
) -> list[Rule]:
    """What the night's events must satisfy together; columns of the statistics table."""
    rules = [
        Rule(
            Message("history in quarantine"),
            _BETWEEN,
            {"column": "history_quarantined_share", "max_value": settings.quarantined_share},
            Message("a share of at most {most:g}", most=settings.quarantined_share),
            Message("Users seem to have done less than they did."),
            "warning",
        )
    ]
    if not trailing or found.get("history_ratio") is None:
        return rules
    low, high = settings.row_count_ratio
    return [
        *rules,
        Rule(
            Message("as many events of users as usual"),
            _BETWEEN,
            {"column": "history_ratio", "min_value": low, "max_value": high},
            Message(
                "{low:g} to {high:g} times the median of the trailing nights", low=low, high=high
            ),
            Message(
                "Part of the events may be missing or doubled: histories would differ from those "
                "that the models were fitted on."
            ),
            "warning",
        ),
    ]
