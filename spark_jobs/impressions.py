"""Impressions: typed, pseudonymised, categorised."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs import fields
from spark_jobs.categories import categorise, quarantined_text
from spark_jobs.clock import NightClock
from spark_jobs.pseudonyms import pseudonym
from spark_jobs.raw import META, PLACE, RawTable
from spark_jobs.schemas import IMPRESSIONS
from spark_jobs.screening import ScreeningRules

KINDS = ("conditional", "marginal", "slate")
KEYS = ("request_id", "position")


def with_candidate_sets(raw: RawTable, sets: RawTable) -> RawTable:
    """``raw`` with the candidates that ``candidate_set_id`` names, where a row has none itself."""
    place = F.struct(*PLACE)
    lists = sets.rows.filter("candidate_set_id is not null").groupBy("candidate_set_id")
    first = lists.agg(F.min_by("candidates", place).alias("_set"))
    rows = raw.rows.join(first, "candidate_set_id", "left")
    chosen = F.coalesce("candidates", "_set")
    return replace(raw, rows=rows.withColumn("candidates", chosen).drop("_set"))


def typed(
    raw: RawTable, clock: NightClock, rules: ScreeningRules, key: bytes, estimated: bool = False
) -> DataFrame:
    """Columns of ``IMPRESSIONS``, ``META``, and ``_reason`` as far as one row tells it.

    Where propensities are ``estimated`` later, a row without one is kept with a null.
    """
    c = F.col
    values = {
        "ts": clock.instant(c("ts")),
        "position": fields.whole(c("position")),
        "propensity": fields.number(c("propensity")),
    }
    wrong = c("_malformed")
    for name, value in values.items():
        wrong = wrong | fields.bad(c(name), value)
    rows = raw.rows.select(
        *META,
        "request_id",
        "user_id",
        "session_id",
        F.coalesce("scene", F.lit("default")).alias("scene"),
        "item_id",
        "candidates",
        "candidate_propensities",
        "context",
        F.coalesce(F.lower("propensity_kind"), F.lit("conditional")).alias("propensity_kind"),
        F.coalesce("policy_id", F.lit("")).alias("policy_id"),
        wrong.alias("_wrong"),
        *[value.alias(name) for name, value in values.items()],
    )
    return rows.select(
        *META,
        *[c(f.name) for f in IMPRESSIONS if f.name not in ("night", "arrival", "user")],
        clock.night(c("ts")).alias("night"),
        F.lit(raw.night).cast("date").alias("arrival"),
        pseudonym(c("user_id"), key).alias("user"),
        _reason(rules, estimated).alias("_reason"),
    )


def _reason(rules: ScreeningRules, estimated: bool) -> Column:
    c = F.col
    candidates, logged = c("candidates"), c("candidate_propensities")
    missing = F.lit(False)
    for name in ("request_id", "ts", "item_id", "position"):
        missing = missing | c(name).isNull()
    return fields.first_reason(
        [
            ("unparsable", c("_corrupt")),
            ("wrong_type", c("_wrong") | ~c("propensity_kind").isin(*KINDS)),
            # A candidate set has no holes and no item twice, and one propensity for each.
            ("wrong_type", F.exists(candidates, lambda v: v.isNull())),
            ("wrong_type", F.size(F.array_distinct(candidates)) != F.size(candidates)),
            ("wrong_type", F.exists(logged, lambda v: v.isNull())),
            ("wrong_type", F.size(logged) != F.size(candidates)),
            ("missing_field", missing),
            ("null_user", c("user_id").isNull()),
            ("test_traffic", rules.test_traffic(c("user_id"), c("policy_id"))),
            ("missing_propensity", c("propensity").isNull() & F.lit(not estimated)),
            ("propensity_out_of_range", ~c("propensity").between(5e-324, 1.0)),
            ("no_candidates", candidates.isNull() | (F.size(candidates) == 0)),
            ("shown_not_in_candidates", ~F.array_contains(candidates, c("item_id"))),
        ]
    )


def classify(
    rows: DataFrame,
    catalog: DataFrame,
    earlier: DataFrame | None,
    late_nights: int,
    bot_requests: int,
    rules: ScreeningRules,
) -> DataFrame:
    """``typed`` rows with their final ``_reason`` and ``_category``.

    ``catalog`` has ``item_id``; ``earlier`` has ``KEYS`` of impressions of earlier arrivals.
    ``rows`` is read several times: persist it.
    """
    c = F.col
    # A row's place is its identity: the two sides of each join are the same persisted rows.
    items = rows.select("_row", "_file", F.explode(F.array_append("candidates", c("item_id"))))
    unknown = (
        items.join(catalog.select(c("item_id").alias("col")), "col", "left_anti")
        .select("_row", "_file")
        .distinct()
        .withColumn("_unknown", F.lit(True))
    )
    bots = (
        rows.groupBy("user")
        .agg(F.count_distinct("request_id").alias("_requests"))
        .filter((c("_requests") > bot_requests) & c("user").isNotNull())
        .select("user", F.lit(True).alias("_bot"))
    )
    joined = rows.join(unknown, ["_row", "_file"], "left").join(bots, "user", "left")
    too_fast = F.lit(False)
    fast = rules.impossible_speed(rows)
    if fast is not None:
        joined = joined.join(fast.withColumn("_fast", F.lit(True)), "user", "left")
        too_fast = c("_fast")
    future = c("night") > c("arrival")
    reason = F.coalesce(
        "_reason",
        fields.first_reason(
            [
                ("unknown_item", c("_unknown")),
                ("future_ts", future),
                ("bot", c("_bot")),
                ("impossible_speed", too_fast),
            ]
        ),
    )
    late = F.date_diff(c("arrival"), c("night")) > late_nights
    judged = joined.withColumn("_reason", reason).withColumn("_raw", quarantined_text())
    return categorise(judged, KEYS, late, earlier)
