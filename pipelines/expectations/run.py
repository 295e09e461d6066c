"""Judging one night's clean tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.expectations import arrival, feedback, impressions, items
from pipelines.expectations.night_statistics import (
    TABLES,
    against_trailing,
    propensity_moments,
    shares,
    volumes,
)
from pipelines.expectations.suite import Rule, Suite, run_suites
from pipelines.settings.model import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def validate_night(
    spark: SparkSession,
    ingest_folder: Path,
    night: str,
    settings: Settings,
    trailing: Sequence[Mapping[str, Any]],
    docs_folder: Path,
) -> dict[str, Any]:
    """Run the expectation suites on the output of the ingest stage.

    Args:
        spark: the session.
        ingest_folder: holds the clean tables and ``counts.json``.
        night: arrival night.
        settings: thresholds, and the events that objectives read.
        trailing: ``statistics`` of earlier verdicts whose impressions passed.
        docs_folder: gets the data docs of this run, ``index.html``.

    Returns:
        ``tables`` {table: passed or stopped}, ``verdict`` (stopped when a table is), ``failed``
        and ``warnings`` (each ``{table, expectation, severity, observed, expected, why, rows}``;
        rows hold pseudonyms only) and ``statistics``.
    """
    counts = json.loads((ingest_folder / "counts.json").read_text())
    written = {t: spark.read.parquet(str(ingest_folder / t)) for t in TABLES}
    found: dict[str, Any] = volumes(counts) | shares(counts) | {"catalog": counts["catalog"]}
    found |= arrival.statistics(counts)
    late_nights = settings.ingestion.late_nights
    events = sorted({o.event for o in settings.objectives if o.source == "feedback"})
    thresholds = settings.validation

    suites = [_schema_suite(table, rows) for table, rows in written.items()]
    broken = {s.table for s in suites if _lacks_columns(s)}
    kept: list[DataFrame] = []
    try:
        if "impressions" not in broken:
            rows = impressions.prepared(written["impressions"]).persist()
            kept.append(rows)
            found |= propensity_moments(rows)
            rules = impressions.row_rules(thresholds, late_nights)
            suites.append(Suite("impressions", "impressions", rows, rules, impressions.SHOWN))
        if "feedback" not in broken:
            clock = settings.ingestion.clock()
            rows = feedback.prepared(written["feedback"], events, clock).persist()
            kept.append(rows)
            suites.append(
                Suite("feedback", "feedback", rows, feedback.row_rules(events), feedback.SHOWN)
            )
        if "items" not in broken:
            rows = items.prepared(written["items"]).persist()
            kept.append(rows)
            suites.append(Suite("items", "items", rows, items.row_rules(thresholds), items.SHOWN))
        recent = list(trailing)[-thresholds.trailing_nights :]
        found["impressions_ratio"] = against_trailing(found, recent, "impressions")
        found["feedback_rate_ratio"] = against_trailing(found, recent, "feedback_rate")
        table = _one_row(found)
        by_table = {
            "impressions": impressions.statistic_rules(thresholds, found, recent),
            "feedback": feedback.statistic_rules(thresholds, found, recent),
            "items": items.statistic_rules(thresholds),
        }
        for t in arrival.TABLES:
            by_table[t] += arrival.statistic_rules(thresholds, settings.ingestion, t, found)
        suites += [Suite(f"{t}_statistics", t, table, r) for t, r in by_table.items()]
        failures = run_suites(suites, night, docs_folder)
    finally:
        for rows in kept:
            rows.unpersist()
    return _verdict(failures, found)


def _verdict(failures: list[dict[str, Any]], found: dict[str, Any]) -> dict[str, Any]:
    critical = [f for f in failures if f["severity"] == "critical"]
    stopped = {f["table"] for f in critical}
    return {
        "tables": {t: "stopped" if t in stopped else "passed" for t in TABLES},
        "verdict": "stopped" if stopped else "passed",
        "failed": critical,
        "warnings": [f for f in failures if f["severity"] != "critical"],
        "statistics": found,
    }


def _schema_suite(table: str, rows: DataFrame) -> Suite:
    from spark_jobs.schemas import CLEAN

    names = sorted(CLEAN[table].names)
    rule = Rule(
        "columns of the contract",
        "ExpectTableColumnsToMatchSet",
        {"column_set": names, "exact_match": True},
        f"the columns {', '.join(names)}",
        "Every later stage reads them by name.",
    )
    return Suite(f"{table}_schema", table, rows, [rule])


def _lacks_columns(suite: Suite) -> bool:
    return bool(set(suite.rules[0].arguments["column_set"]) - set(suite.rows.columns))


def _one_row(found: Mapping[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame({k: pd.Series([v], dtype="float64") for k, v in found.items()})
