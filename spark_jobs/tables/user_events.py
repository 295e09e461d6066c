"""Events of users that name no request, of every kind: typed, pseudonymised, categorised."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.contract.clock import NightClock
from spark_jobs.reading import fields
from spark_jobs.reading.raw import CARRIED, RawTable
from spark_jobs.tables.categories import Before, categorise, content
from spark_jobs.tables.forgotten_rows import REASON, ForgottenRows
from spark_jobs.tables.keyed_ids import with_keyed_ids
from spark_jobs.tables.pseudonyms import pseudonym
from spark_jobs.tables.screening import ScreeningRules

KEYS = ("event_id",)
_REQUIRED = ("event_id", "item_id", "ts", "event", "value")


def typed(
    raw: RawTable, clock: NightClock, rules: ScreeningRules, key: bytes, forgotten: ForgottenRows
) -> DataFrame:
    """Columns of ``HISTORY``, ``CARRIED``, ``_content``, and ``_reason`` as one row tells it."""
    c = F.col
    ts, value = clock.time_of(raw.rows, "ts"), fields.number(c("value"))
    finite = F.abs(value) < float("inf")
    missing = F.lit(False)
    for name in _REQUIRED:
        missing = missing | c(name).isNull()
    user, night = pseudonym(c("user_id"), key), clock.night(ts)
    reason = fields.first_reason(
        [
            (REASON, forgotten.is_user(user)),
            ("unparsable", c("_corrupt")),
            ("wrong_type", fields.bad(c("ts"), ts) | fields.bad(c("value"), value) | ~finite),
            ("missing_field", missing),
            ("null_user", c("user_id").isNull()),
            ("test_traffic", rules.test_traffic(c("user_id"), F.lit(""))),
            ("impossible_value", rules.impossible_value(c("event"), value)),
            ("future_ts", night > c("arrival")),
        ]
    )
    rows = with_keyed_ids(raw, key).withColumn("_reason", reason)
    return rows.select(
        *CARRIED,
        content(c("user_id"), c("item_id"), c("event"), value),
        "event_id",
        user.alias("user"),
        "item_id",
        ts.alias("ts"),
        night.alias("night"),
        "event",
        value.alias("value"),
        "_reason",
    )


def classify(rows: DataFrame, before: Before) -> DataFrame:
    """``typed`` rows with ``_category``; none is late: a history takes what comes, when it comes.

    Args:
        rows: from ``typed``.
        before: event_id of earlier arrivals.
    """
    return categorise(rows, KEYS, F.col("ts").asc(), None, before)
