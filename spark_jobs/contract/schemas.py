"""The types of raw columns, and the clean tables, column by column."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import types as t
from pyspark.sql.pandas.types import from_arrow_schema

RAW_TYPES: dict[str, t.DataType] = {
    "text": t.StringType(),
    "number": t.StringType(),
    "time": t.StringType(),
    "strings": t.ArrayType(t.StringType()),
    "numbers": t.ArrayType(t.DoubleType()),
    "text_map": t.MapType(t.StringType(), t.StringType()),
    "number_map": t.MapType(t.StringType(), t.DoubleType()),
}

_STRINGS = t.ArrayType(t.StringType())

IMPRESSIONS = t.StructType(
    [
        t.StructField("request_id", t.StringType()),
        t.StructField("ts", t.TimestampType()),
        t.StructField("night", t.DateType()),
        t.StructField("arrival", t.DateType()),
        t.StructField("user", t.StringType()),
        t.StructField("session_id", t.StringType()),
        t.StructField("scene", t.StringType()),
        t.StructField("position", t.IntegerType()),
        t.StructField("item_id", t.StringType()),
        t.StructField("propensity", t.DoubleType()),
        t.StructField("candidates", _STRINGS),
        t.StructField("candidate_propensities", t.ArrayType(t.DoubleType())),
        t.StructField("propensity_kind", t.StringType()),
        t.StructField("policy_id", t.StringType()),
        t.StructField("context", t.MapType(t.StringType(), t.StringType())),
    ]
)

FEEDBACK = t.StructType(
    [
        t.StructField("event_id", t.StringType()),
        t.StructField("request_id", t.StringType()),
        t.StructField("item_id", t.StringType()),
        t.StructField("ts", t.TimestampType()),
        t.StructField("arrival", t.DateType()),
        t.StructField("event", t.StringType()),
        t.StructField("value", t.DoubleType()),
        # Night of the impression it belongs to; null when no such impression is known.
        t.StructField("impression_night", t.DateType()),
    ]
)

HISTORY = t.StructType(
    [
        t.StructField("event_id", t.StringType()),
        t.StructField("user", t.StringType()),
        t.StructField("item_id", t.StringType()),
        t.StructField("ts", t.TimestampType()),
        t.StructField("night", t.DateType()),
        t.StructField("arrival", t.DateType()),
        t.StructField("event", t.StringType()),
        t.StructField("value", t.DoubleType()),
    ]
)

ITEMS = t.StructType(
    [
        t.StructField("item_id", t.StringType()),
        t.StructField("text", t.StringType()),
        t.StructField("categories", _STRINGS),
        t.StructField("provider", t.StringType()),
        t.StructField("attributes", t.MapType(t.StringType(), t.DoubleType())),
        t.StructField("updated_at", t.TimestampType()),
    ]
)

# Slots of which an event came that could not be read.
UNREAD = t.StructType([FEEDBACK[name] for name in ("request_id", "item_id", "event", "arrival")])

# Slots whose impressions were not taken: events of theirs are not lost ones.
LEFT_OUT = t.StructType([IMPRESSIONS[name] for name in ("request_id", "item_id", "night")])

# Salted hashes of the requests of people who were forgotten.
FORGOTTEN = t.StructType([t.StructField("request", t.StringType())])

# Whom the pseudonyms of a night's clean impressions stand for.
USER_IDS = t.StructType(
    [t.StructField("user", t.StringType()), t.StructField("user_id", t.StringType())]
)

# Written as mrlm.bandit_log.catalog.ITEMS_SCHEMA: what is known of every item, latest row.
CATALOG = t.StructType([f for f in ITEMS.fields if f.name != "updated_at"])

CLEAN: dict[str, t.StructType] = {
    "impressions": IMPRESSIONS,
    "feedback": FEEDBACK,
    "items": ITEMS,
    "history": HISTORY,
}

QUARANTINE = t.StructType(
    [
        t.StructField("night", t.DateType()),
        t.StructField("table", t.StringType()),
        t.StructField("reason", t.StringType()),
        t.StructField("file", t.StringType()),
        # Counted from 1; of a Parquet file the row.
        t.StructField("line", t.LongType()),
        t.StructField("raw", t.StringType()),
    ]
)


def spark_schema(schema: pa.Schema) -> t.StructType:
    """The same columns as Spark types."""
    return from_arrow_schema(schema)
