"""Expectations on a night's items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrlm.messages.message import Message
from pipelines.expectations.row_rules import RowRule
from pipelines.expectations.suite import Rule
from pipelines.settings.validation import Validation

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHOWN = ("item_id", "text_length", "category_count")


def prepared(rows: DataFrame) -> DataFrame:
    """Clean items with the derived columns that the rules speak of, without text and maps."""
    from pyspark.sql import functions as F

    derived = rows.withColumns(
        {
            "text_length": F.length(F.trim(F.coalesce("text", F.lit("")))),
            "category_count": F.size("categories"),
        }
    )
    return derived.drop("text", "categories", "attributes")


def row_rules(settings: Validation) -> list[RowRule]:
    """What every item, or nearly every one, must satisfy."""
    most = settings.items_without_text_share
    return [
        RowRule(
            Message("one row an item"),
            Message("item_id is unique"),
            Message("An item with two texts has no one embedding."),
            keys=("item_id",),
        ),
        RowRule(
            Message("items with text"),
            Message("at least one character of text, but for a share of {most:g}", most=most),
            Message(
                "Its embedding is 0: nothing is known of what it is like. Where texts have another "
                "column, the setting is inputs.text_fields."
            ),
            failing="text_length < 1",
            most=most,
            severity="warning",
        ),
    ]


def statistic_rules(settings: Validation) -> list[Rule]:
    """What the night's items must satisfy together; columns of the statistics table."""
    return [
        Rule(
            Message("catalogue"),
            "ExpectColumnValuesToBeBetween",
            {"column": "catalog", "min_value": 1},
            Message("at least one item in all"),
            Message("There is nothing to recommend."),
        ),
        Rule(
            Message("items in quarantine"),
            "ExpectColumnValuesToBeBetween",
            {"column": "items_quarantined_share", "max_value": settings.quarantined_share},
            Message("a share of at most {most:g}", most=settings.quarantined_share),
            Message("Impressions of items that were lost are lost with them."),
            "warning",
        ),
    ]
