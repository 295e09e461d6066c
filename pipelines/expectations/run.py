"""Judging one night's clean tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from mrlm.bandit_log.catalog import Catalog
from mrlm.log_checks.show_counts import ShowCounts
from mrlm.messages.message import Joined, Message
from mrlm.report.night_page import most_severe_first
from pipelines.expectations import (
    arrival,
    event_delivery,
    feedback,
    impressions,
    items,
    told_events,
)
from pipelines.expectations.arms import SEVERAL, arm_column, users_by_arm
from pipelines.expectations.night_shape import night_shape, shapes_of, with_item_groups
from pipelines.expectations.night_statistics import (
    TABLES,
    against_trailing,
    rounded,
    shares,
    volumes,
)
from pipelines.expectations.one_pass import sums_and_rows
from pipelines.expectations.row_rules import counted, judged, key_repeats, row_sums
from pipelines.expectations.show_rules import show_limits
from pipelines.expectations.shown_slots import (
    show_counts,
    slot_moments,
    slots_of,
    stored_candidates,
    taken,
)
from pipelines.expectations.suite import Rule, Suite, run_suites
from pipelines.expectations.whole_night import whole_night
from pipelines.settings.model import Settings
from pipelines.settings.validation import Validation

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_jobs.runtime.work import Work


# Who answers for a table, where the settings name nobody.
OWNERS = {
    "impressions": Message("whoever writes the logger of impressions"),
    "feedback": Message("whoever delivers feedback"),
    "items": Message("whoever delivers the catalogue"),
    "history": Message("whoever delivers the events of users"),
}


def validate_night(
    spark: SparkSession,
    ingest_folder: Path,
    night: str,
    settings: Settings,
    trailing: Sequence[Mapping[str, Any]],
    trailing_events: Sequence[event_delivery.EventCounts],
    out: Path,
    sent: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Run the expectation suites on the output of the ingest stage.

    Args:
        spark: the session.
        ingest_folder: holds the clean tables and ``counts.json``.
        night: arrival night.
        settings: thresholds, and the events that objectives read.
        trailing: ``statistics`` of earlier verdicts whose impressions passed.
        trailing_events: events of earlier nights whose deliveries can be trusted.
        out: gets the data docs of this run, ``data_docs/index.html``, and the night's events by
            item, ``events_by_item.parquet``.
        sent: events that the logger says it sent for the night, by name; None: it does not say.

    Returns:
        ``tables`` {table: passed or stopped}, ``verdict`` (stopped when a table is), ``failed``
        and ``warnings``, the worst first (each ``{table, expectation, severity, observed, expected,
        why, rows, owner}``; rows hold pseudonyms only), ``statistics``, ``limits``: sentences
        that say what would have been found, ``events_by_hour`` and ``deliveries`` (event to what
        its delivery is worth).
    """
    from spark_jobs.runtime.work import Work

    counts = json.loads((ingest_folder / "counts.json").read_text())
    found: dict[str, Any] = volumes(counts) | shares(counts) | {"catalog": counts["catalog"]}
    found |= arrival.statistics(counts)
    late_nights = settings.ingestion.late_nights
    events = sorted({o.event for o in settings.objectives if o.source == "feedback"})
    thresholds = settings.validation

    recent = list(trailing)[-thresholds.trailing_nights :]
    columns = {table: _columns(ingest_folder / table) for table in TABLES}
    suites = [_schema_suite(table, names) for table, names in columns.items()]
    read = {t: _rows(spark, ingest_folder, t) for t in TABLES if set(columns[t]) >= _wanted(t)}
    came, whole = None, list[Rule]()
    with Work() as work:
        coming = None
        if read.keys() >= {"impressions", "feedback"}:
            tables = read["impressions"], read["feedback"]
            coming = work.start(event_delivery.counted, *tables, events)
        others = _row_suites(spark, work, ingest_folder, counts, read, events, settings)
        if "impressions" in read:
            shown, number = read["impressions"], counts["impressions"]["clean"]
            offered = stored_candidates(ingest_folder / "impressions")
            few = taken(number, offered)
            rows = impressions.prepared(shown, few)
            rules = impressions.row_rules(thresholds, late_nights)
            keys = work.start(key_repeats, rows, rules)
            counted_rows, slots = sums_and_rows(
                rows, row_sums(rules) | arm_column(), lambda seen: slots_of(seen, few)
            )
            arms = _arms(work, shown, counted_rows, thresholds)
            # Beside what Spark still counts.
            found |= slot_moments(slots)
            shows = show_counts(
                slots,
                sum_tolerance=thresholds.propensity_sum_tolerance,
                tolerance=thresholds.shows_tolerance,
            )
            if coming is not None:
                came = coming.result()
                pq.write_table(came.by_item, out / "events_by_item.parquet")
            rates = {} if came is None else came.rates(number)
            place = ingest_folder / "catalog"
            compared, whole = _as_a_whole(shows, arms, rates, place, settings, recent)
            found |= compared
            breaches = counted_rows | keys.result()
            suites.append(judged("impressions", rows, rules, impressions.SHOWN, breaches))
        suites += [other.result() for other in others]
    told = told_events.TABLE in counts
    if told:
        found["history_ratio"] = against_trailing(found, recent, told_events.TABLE)
    delivered = None
    if came is not None:
        delivered = event_delivery.judge_night(counts, came, trailing_events, settings, sent)
        found |= event_delivery.statistics(counts, delivered)
    found["impressions_ratio"] = against_trailing(found, recent, "impressions")
    found["feedback_rate_ratio"] = against_trailing(found, recent, "feedback_rate")
    found = rounded(found)
    table = _one_row(found)
    by_table = {
        "impressions": [*whole, *impressions.statistic_rules(thresholds, found, recent)],
        "feedback": feedback.statistic_rules(thresholds, found, recent),
        "items": items.statistic_rules(thresholds),
    }
    if told:
        by_table[told_events.TABLE] = told_events.statistic_rules(thresholds, found, recent)
    for t in arrival.TABLES:
        by_table[t] += arrival.statistic_rules(thresholds, settings.ingestion, t, found)
    if delivered is not None:
        by_table["feedback"] += event_delivery.rules(settings, delivered)
    suites += [Suite(f"{t}_statistics", t, table, r) for t, r in by_table.items()]
    failures = run_suites(suites, night, out / "data_docs", settings.report.language)
    for failure in failures:
        failure["owner"] = thresholds.owners.get(failure["table"], OWNERS[failure["table"]])
    verdict = _verdict(failures, found)
    if delivered is not None and came is not None:
        verdict["deliveries"] = delivered.to_json()
        verdict["events_by_hour"] = dict(came.by_hour)
        verdict["limits"] += event_delivery.loss_limits(delivered)
    return verdict


def _row_suites(
    spark: SparkSession,
    work: Work,
    folder: Path,
    counts: Mapping[str, Any],
    read: Mapping[str, DataFrame],
    events: Sequence[str],
    settings: Settings,
) -> list[Future[Suite]]:
    """What breaks the rules of feedback, items and told events, counted in the background."""
    found = []
    if "feedback" in read:
        rows = feedback.prepared(read["feedback"], events, settings.ingestion.clock())
        rules = feedback.row_rules(events)
        found.append(work.start(counted, "feedback", rows, rules, feedback.SHOWN))
    if "items" in read:
        rows = items.prepared(read["items"])
        rules = items.row_rules(settings.validation)
        found.append(work.start(counted, "items", rows, rules, items.SHOWN))
    if (table := told_events.TABLE) in counts:
        catalog = spark.read.parquet(str(folder / "catalog"))
        rows = told_events.prepared(_rows(spark, folder, table), catalog)
        rules = told_events.row_rules(settings.validation)
        found.append(work.start(counted, table, rows, rules, told_events.SHOWN))
    return found


def _arms(
    work: Work, impressions: DataFrame, found: Mapping[str, Any], thresholds: Validation
) -> Future[dict[str, int]] | None:
    """Users of each policy, counted in the background; None where there is nothing to compare."""
    if not found[SEVERAL] and not thresholds.arm_shares:
        return None
    return work.start(users_by_arm, impressions)


def _as_a_whole(
    shows: ShowCounts,
    arms: Future[dict[str, int]] | None,
    rates: Mapping[str, float],
    place: Path,
    settings: Settings,
    recent: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], list[Rule]]:
    """Statistics and rules of the night's shows, arms and shape.

    ``rates`` are those of the night's events, ``place`` is where the catalogue lies.
    """
    catalog = Catalog.read(place) if place.exists() else None
    shape = night_shape(shows, rates, catalog, shapes_of(recent))
    shows = with_item_groups(shows, catalog)
    users = {} if arms is None else arms.result()
    return whole_night(shows, users, shape, recent, settings.validation)


def _verdict(failures: list[dict[str, Any]], found: dict[str, Any]) -> dict[str, Any]:
    failures = [dict(f) for f in most_severe_first(failures)]
    critical = [f for f in failures if f["severity"] == "critical"]
    stopped = {f["table"] for f in critical}
    return {
        "tables": {t: "stopped" if t in stopped else "passed" for t in TABLES},
        "verdict": "stopped" if stopped else "passed",
        "failed": critical,
        "warnings": [f for f in failures if f["severity"] != "critical"],
        "statistics": found,
        "limits": show_limits(found),
    }


def _columns(folder: Path) -> list[str]:
    """Names of the columns that a table was written with."""
    file = next(iter(sorted(folder.glob("*.parquet"))), None)
    return [] if file is None else list(pq.read_schema(file).names)


def _wanted(table: str) -> set[str]:
    from spark_jobs.contract.schemas import CLEAN

    return set(CLEAN[table].names)


def _rows(spark: SparkSession, folder: Path, table: str) -> DataFrame:
    from spark_jobs.contract.schemas import CLEAN

    return spark.read.schema(CLEAN[table]).parquet(str(folder / table))


def _schema_suite(table: str, columns: Sequence[str]) -> Suite:
    import pandas as pd

    names = sorted(_wanted(table))
    rule = Rule(
        Message("columns of the contract"),
        "ExpectTableColumnsToMatchSet",
        {"column_set": names, "exact_match": True},
        Message("the columns {columns}", columns=Joined(", ", names)),
        Message("Every later stage reads them by name."),
    )
    return Suite(f"{table}_schema", table, pd.DataFrame(columns=list(columns)), [rule])


def _one_row(found: Mapping[str, Any]) -> Any:
    import pandas as pd

    numbers = {k: v for k, v in found.items() if v is None or isinstance(v, int | float)}
    return pd.DataFrame({k: pd.Series([v], dtype="float64") for k, v in numbers.items()})
