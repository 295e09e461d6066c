"""Impressions: typed, pseudonymised, categorised."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.schemas import IMPRESSIONS
from spark_jobs.reading import fields
from spark_jobs.reading.raw import AT, CARRIED, RawTable
from spark_jobs.runtime.work import Work
from spark_jobs.tables.categories import CLEAN, Before, categorise, content
from spark_jobs.tables.contacts import differs, scrubbed_values
from spark_jobs.tables.forgotten_rows import REASON as FORGOTTEN
from spark_jobs.tables.forgotten_rows import ForgottenRows, is_kept
from spark_jobs.tables.keyed_ids import with_keyed_ids
from spark_jobs.tables.pseudonyms import pseudonym
from spark_jobs.tables.screening import ScreeningRules

KINDS = ("conditional", "marginal", "slate")
KEYS = ("request_id", "position")
# What is looked at once a row's own fields have been checked.
_SENT_TO_TASKS = 1_000_000
NARROW = ("request_id", "position", "item_id", "user", "ts", "night")


def typed(
    raw: RawTable,
    clock: NightClock,
    rules: ScreeningRules,
    key: bytes,
    estimated: bool = False,
    forgotten: ForgottenRows | None = None,
    sets: RawTable | None = None,
    catalog: DataFrame | None = None,
    scrub: bool = False,
) -> DataFrame:
    """Columns of ``IMPRESSIONS``, ``CARRIED``, ``_content``, and ``_reason`` as one row tells it.

    Where propensities are ``estimated`` later, a row without one is kept with a null. Rows without
    candidates take those that their ``candidate_set_id`` names in ``sets``, or every item of their
    night's ``catalog`` (``arrival``, ``item_id``). Where contexts are to be scrubbed, ``_scrubbed``
    says of which rows some value was.
    """
    c = F.col
    values = {
        "ts": clock.time_of(raw.rows, "ts"),
        "position": fields.whole(c("position")),
        "propensity": fields.number(c("propensity")),
    }
    wrong = c("_malformed")
    for name, value in values.items():
        wrong = wrong | fields.bad(c(name), value)
    context = scrubbed_values(c("context")) if scrub else c("context")
    user, policy = pseudonym(c("user_id"), key), F.coalesce("policy_id", F.lit(""))
    rows = with_keyed_ids(raw, key).select(
        *CARRIED,
        "_corrupt",
        "request_id",
        # No raw id goes further than this: what follows may be shuffled and kept.
        user.alias("user"),
        rules.test_traffic(c("user_id"), policy).alias("_test"),
        (forgotten or ForgottenRows()).is_user(user).alias("_forgotten"),
        "session_id",
        F.coalesce("scene", F.lit("default")).alias("scene"),
        "item_id",
        "candidates",
        "candidate_propensities",
        context.alias("context"),
        *([differs(_entries("context"), _entries(context)).alias("_scrubbed")] if scrub else []),
        F.coalesce(F.lower("propensity_kind"), F.lit("conditional")).alias("propensity_kind"),
        policy.alias("policy_id"),
        wrong.alias("_wrong"),
        *[value.alias(name) for name, value in values.items()],
        *([] if sets is None else ["candidate_set_id"]),
    )
    if sets is not None:
        rows = _with_candidate_sets(rows, sets)
    if catalog is not None:
        rows = _with_catalog(rows, catalog)
    logged = [c(f.name) for f in IMPRESSIONS if f.name not in ("night", "arrival")]
    apart = ("request_id", "ts", "position", "context", "user")
    told = [c(f.name) for f in IMPRESSIONS if f.name in rows.columns and f.name not in apart]
    return rows.select(
        *CARRIED,
        content(c("user"), *told, _entries("context")),
        *(["_scrubbed"] if scrub else []),
        *logged,
        clock.night(c("ts")).alias("night"),
        _reason(estimated).alias("_reason"),
    )


def _entries(texts: Column | str) -> Column:
    """A map in a form that can be compared and hashed."""
    return F.array_sort(F.map_entries(texts))


def _with_candidate_sets(rows: DataFrame, sets: RawTable) -> DataFrame:
    """``rows`` with the candidates that ``candidate_set_id`` names, where a row has none itself."""
    named = sets.rows.filter("candidate_set_id is not null")
    # Of several lists of one name always the same, whichever file is read first.
    first = named.groupBy("arrival", "candidate_set_id").agg(F.min("candidates").alias("_set"))
    chosen = F.coalesce("candidates", "_set")
    joined = rows.join(first, ["arrival", "candidate_set_id"], "left")
    return joined.withColumn("candidates", chosen).drop("_set", "candidate_set_id")


def _with_catalog(rows: DataFrame, catalog: DataFrame) -> DataFrame:
    """``rows`` with every item of their night's catalogue, where a row has no candidates itself."""
    listed = F.array_sort(F.collect_list("item_id"))
    every = catalog.groupBy("arrival").agg(listed.alias("_every"))
    chosen = F.coalesce("candidates", "_every")
    joined = rows.join(F.broadcast(every), "arrival", "left")
    return joined.withColumn("candidates", chosen).drop("_every")


def left_out(rows: DataFrame) -> DataFrame:
    """Slots of ``classify``'s rows that were not taken, as far as they can be named."""
    named = F.col("request_id").isNotNull() & F.col("item_id").isNotNull()
    kept = is_kept(F.col("_reason"))
    return rows.filter((F.col("_category") != CLEAN) & named & kept).select(
        "arrival", "request_id", "item_id", "night"
    )


def _reason(estimated: bool) -> Column:
    c = F.col
    candidates, logged = c("candidates"), c("candidate_propensities")
    missing = F.lit(False)
    for name in ("request_id", "ts", "item_id", "position"):
        missing = missing | c(name).isNull()
    return fields.first_reason(
        [
            (FORGOTTEN, c("_forgotten")),
            ("unparsable", c("_corrupt")),
            ("wrong_type", c("_wrong") | ~c("propensity_kind").isin(*KINDS)),
            # A candidate set has no holes and no item twice, and one propensity for each.
            ("wrong_type", F.exists(candidates, lambda v: v.isNull())),
            ("wrong_type", F.size(F.array_distinct(candidates)) != F.size(candidates)),
            ("wrong_type", F.exists(logged, lambda v: v.isNull())),
            ("wrong_type", F.size(logged) != F.size(candidates)),
            ("missing_field", missing),
            ("null_user", c("user").isNull()),
            ("test_traffic", c("_test")),
            ("missing_propensity", c("propensity").isNull() & F.lit(not estimated)),
            ("propensity_out_of_range", ~c("propensity").between(5e-324, 1.0)),
            ("no_candidates", candidates.isNull() | (F.size(candidates) == 0)),
            ("shown_not_in_candidates", ~F.array_contains(candidates, c("item_id"))),
        ]
    )


def classify(
    rows: DataFrame,
    catalog: DataFrame,
    before: Before,
    late_nights: int,
    bot_requests: int,
    rules: ScreeningRules,
    work: Work,
) -> DataFrame:
    """``typed`` rows less their lists, with their final ``_reason`` and ``_category``.

    Only narrow rows are shuffled: lists are looked through where they are read, and what is wrong
    comes back as the place of a row.

    Args:
        rows: from ``typed``; read twice.
        catalog: ``item_id`` of what may be shown, and ``since``, the arrival night from which on.
        before: ``KEYS`` of impressions of earlier arrivals.
        late_nights: impressions that arrive more nights after their own are late.
        bot_requests: a user with more requests is a bot; 0: nobody is.
        rules: of the deployment.
        work: keeps the narrow rows.
    """
    c = F.col
    # An item that is no candidate has another reason already.
    listed = rows.select(*AT, F.explode("candidates").alias("item_id"))
    known = F.broadcast(catalog.select(c("item_id").alias("_known"), "since"))
    may_be_shown = (c("item_id") == c("_known")) & (c("since") <= c("arrival"))
    unknown = listed.join(known, may_be_shown, "left_anti").select(*AT).distinct()
    flags = [n for n in ("_scrubbed",) if n in rows.columns]
    narrow = work.keep(rows.select(*CARRIED, *NARROW, *flags, "_content", "_reason"))
    unknown = work.keep(unknown.withColumn("_unknown", F.lit(True)))
    # A night without its catalogue has as many of them as rows: too many to send to every task.
    found = F.broadcast(unknown) if unknown.count() < _SENT_TO_TASKS else unknown
    joined = narrow.join(found, [*AT], "left")
    bot, too_fast = F.lit(False), F.lit(False)
    if bot_requests:
        bots = (
            narrow.groupBy("arrival", "user")
            .agg(F.count_distinct("request_id").alias("_requests"))
            .filter((c("_requests") > bot_requests) & c("user").isNotNull())
        )
        marked = F.broadcast(bots.select("arrival", "user", F.lit(True).alias("_bot")))
        joined = joined.join(marked, ["arrival", "user"], "left")
        bot = c("_bot")
    fast = rules.impossible_speed(narrow)
    if fast is not None:
        fast = F.broadcast(fast.withColumn("_fast", F.lit(True)))
        joined = joined.join(fast, ["arrival", "user"], "left")
        too_fast = c("_fast")
    future = c("night") > c("arrival")
    reason = F.coalesce(
        "_reason",
        fields.first_reason(
            [
                ("unknown_item", c("_unknown")),
                ("future_ts", future),
                ("bot", bot),
                ("impossible_speed", too_fast),
            ]
        ),
    )
    late = F.date_diff(c("arrival"), c("night")) > late_nights
    judged = joined.withColumn("_reason", reason).drop("_unknown", "_bot", "_fast")
    return categorise(judged, KEYS, c("ts").asc(), late, before)
