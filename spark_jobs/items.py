"""Items: typed, categorised, and merged into the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs import fields
from spark_jobs.categories import CARRIED, categorise, quarantined_text
from spark_jobs.raw import RawTable
from spark_jobs.schemas import CATALOG

KEYS = ("item_id",)


def typed(raw: RawTable, text_fields: Sequence[str], attribute_fields: Sequence[str]) -> DataFrame:
    """Columns of ``ITEMS``, ``META``, and ``_reason``.

    ``text_fields`` are joined by ``. `` into ``text``; ``attribute_fields`` join the numbers of
    ``attributes`` and win over them.
    """
    c = F.col
    updated = fields.timestamp(c("updated_at"))
    wrong = c("_malformed") | fields.bad(c("updated_at"), updated)
    attributes = F.coalesce("attributes", F.create_map().cast("map<string,double>"))
    for name in attribute_fields:
        wrong = wrong | fields.bad(c(name), fields.number(c(name)))
        attributes = F.map_concat(attributes, F.create_map(F.lit(name), fields.number(c(name))))
    known = F.map_filter(attributes, lambda _, v: v.isNotNull() & ~F.isnan(v))
    text = fields.text(F.concat_ws(". ", *[c(name) for name in text_fields]))
    categories = fields.strings(c("category"))
    wrong = wrong | fields.bad(c("category"), categories)
    reason = fields.first_reason(
        [
            ("unparsable", c("_corrupt")),
            ("wrong_type", wrong),
            ("missing_field", c("item_id").isNull()),
            ("no_text", text.isNull()),
        ]
    )
    listed = F.array_distinct(F.filter(categories, lambda v: v.isNotNull()))
    rows = raw.rows.withColumn("_reason", reason)
    return rows.select(
        *CARRIED,
        quarantined_text(),
        "item_id",
        text.alias("text"),
        F.coalesce(listed, F.array().cast("array<string>")).alias("categories"),
        "provider",
        known.alias("attributes"),
        updated.alias("updated_at"),
        "_reason",
    )


def classify(rows: DataFrame) -> DataFrame:
    """``typed`` rows with ``_category``; an item seen on an earlier night is an update."""
    return categorise(rows, KEYS)


def catalog(tonight: DataFrame, before: DataFrame | None) -> DataFrame:
    """Rows of ``CATALOG``: tonight's clean items, and those ``before`` that have no update."""
    names = CATALOG.names
    fresh = tonight.select(*names)
    if before is None:
        return fresh
    kept = before.select(*names).join(fresh.select("item_id"), "item_id", "left_anti")
    return fresh.unionByName(kept)
