"""Items: typed, categorised, and merged into the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as pads
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.errors import InputError
from spark_jobs.contract.nearest import meant
from spark_jobs.contract.schemas import CATALOG
from spark_jobs.reading import fields
from spark_jobs.reading.raw import CARRIED, RawTable, columns_found
from spark_jobs.tables.categories import categorise, content
from spark_jobs.tables.contacts import differs, scrubbed

KEYS = ("item_id",)


def require_fields(
    raw: RawTable,
    night: str,
    text_fields: Sequence[str],
    attribute_fields: Sequence[str],
    known: AbstractSet[str],
) -> None:
    """Refuse fields of the settings that no row has, here or, by ``known``, earlier.

    A night may bring few items, of which none has what others had.

    Raises:
        InputError: naming the field, the columns found, and the setting to change.
    """
    if known >= {*text_fields, *attribute_fields}:
        return
    source, found = raw.sources[night], columns_found(raw, night)

    def lacks(name: str) -> bool:
        return name not in known and source.name(name) not in found

    if all(lacks(name) for name in text_fields):
        raise InputError(
            f"{raw.where(night)}: no row has a text column; looked for "
            f"{', '.join(source.name(n) for n in text_fields)}, found "
            f"{', '.join(sorted(found))}. Items are embedded by their text: name the columns "
            "that hold it in the setting inputs.text_fields"
        )
    for setting, names in (("text_fields", text_fields), ("attribute_fields", attribute_fields)):
        for name in filter(lacks, names):
            raise InputError(
                f"{raw.where(night)}: inputs.{setting} names {name!r}, and no row has such a column"
                f"{meant(name, found)} The columns found are {', '.join(sorted(found))}"
            )


def typed(
    raw: RawTable,
    clock: NightClock,
    text_fields: Sequence[str],
    attribute_fields: Sequence[str],
    scrub: bool = False,
) -> DataFrame:
    """Columns of ``ITEMS``, ``CARRIED``, ``_content`` and ``_reason``.

    ``text_fields`` are joined by ``. `` into ``text``, null where all are empty;
    ``attribute_fields`` join the numbers of ``attributes`` and win over them. Where texts are to be
    scrubbed, ``_scrubbed`` says of which rows they were.
    """
    c = F.col
    updated = clock.time_of(raw.rows, "updated_at")
    wrong = c("_malformed") | fields.bad(c("updated_at"), updated)
    attributes = F.coalesce("attributes", F.create_map().cast("map<string,double>"))
    for name in attribute_fields:
        wrong = wrong | fields.bad(c(name), fields.number(c(name)))
        attributes = F.map_concat(attributes, F.create_map(F.lit(name), fields.number(c(name))))
    known = F.map_filter(attributes, lambda _, v: v.isNotNull() & ~F.isnan(v))
    written = fields.text(F.concat_ws(". ", *[c(name) for name in text_fields]))
    text = scrubbed(written) if scrub else written
    categories = fields.strings(c("category"))
    wrong = wrong | fields.bad(c("category"), categories)
    reason = fields.first_reason(
        [
            ("unparsable", c("_corrupt")),
            ("wrong_type", wrong),
            ("missing_field", c("item_id").isNull()),
        ]
    )
    listed = F.array_distinct(F.filter(categories, lambda v: v.isNotNull()))
    rows = raw.rows.withColumn("_reason", reason)
    return rows.select(
        *CARRIED,
        content(text, categories, c("provider"), F.array_sort(F.map_entries(known))),
        *([differs(written, text).alias("_scrubbed")] if scrub else []),
        "item_id",
        text.alias("text"),
        F.coalesce(listed, F.array().cast("array<string>")).alias("categories"),
        "provider",
        known.alias("attributes"),
        updated.alias("updated_at"),
        "_reason",
    )


def classify(rows: DataFrame) -> DataFrame:
    """``typed`` rows with ``_category``; an item seen on an earlier night is an update.

    Of several rows of one night the one updated last stays.
    """
    return categorise(rows, KEYS, F.col("updated_at").desc_nulls_last())


def versions(clean: DataFrame, before: DataFrame | None, nights: Sequence[str]) -> DataFrame:
    """What is known of each item, from which of the ``nights`` on and until which.

    ``CATALOG``'s columns, ``valid_from``, ``valid_until`` (null while there is no newer version)
    and ``since``, the item's first night. An update without text leaves the text before it.

    Args:
        clean: items of the nights, with ``arrival``.
        before: ``CATALOG`` of the night before them.
        nights: ISO dates, oldest first.
    """
    names = CATALOG.names
    if before is not None:
        earlier = F.date_sub(F.to_date(F.lit(nights[0])), 1)
        clean = before.select(*names, earlier.alias("arrival")).unionByName(
            clean.select(*names, "arrival")
        )
    in_time = Window.partitionBy("item_id").orderBy("arrival")
    return clean.select(
        *[n for n in names if n != "text"],
        F.last("text", ignorenulls=True).over(in_time).alias("text"),
        F.col("arrival").alias("valid_from"),
        F.lead("arrival").over(in_time).alias("valid_until"),
        F.first("arrival").over(in_time).alias("since"),
    )


def catalogs(found: DataFrame, nights: Sequence[str]) -> DataFrame:
    """Rows of ``CATALOG`` with ``arrival``: of each night the ``versions`` that hold on it."""
    until = F.col("valid_until")
    held = F.filter(
        F.array(*[F.to_date(F.lit(n)) for n in nights]),
        lambda n: (n >= F.col("valid_from")) & (until.isNull() | (n < until)),
    )
    return found.select(*CATALOG.names, F.explode(held).alias("arrival"))


def catalog_counts(written: Path) -> dict[str, int]:
    """How many items a catalogue has, ``catalog``, and ``items_without_text`` of these."""
    rows = pads.dataset(written, format="parquet")
    without = rows.count_rows(filter=pc.field("text").is_null())
    return {"catalog": rows.count_rows(), "items_without_text": without}
