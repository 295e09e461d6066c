"""Run the suites on one night and say whether it may go on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.expectations.prepared import Prepared, prepare
from pipelines.expectations.suites import suites
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SHOWN_ROWS = 5
_KEYS = {
    "impressions": ["request_id", "position"],
    "feedback": ["event_id"],
    "items": ["item_id"],
    "statistics": [],
}
# A failure in the statistics of a night is one of its impressions.
_TABLE_OF = {"statistics": "impressions"}


def validate_night(
    spark: SparkSession,
    folder: Path,
    night: str,
    settings: Settings,
    trailing: Sequence[Mapping[str, float]],
    docs: Path,
) -> dict[str, Any]:
    """Validate the clean tables of a night and write its data docs.

    Args:
        spark: the session.
        folder: output of the ingest stage.
        night: ISO date; names the run in the data docs.
        settings: thresholds, lateness, objectives.
        trailing: ``statistics`` of the passed nights before, oldest first.
        docs: folder for the static site; created.

    Returns:
        ``verdict`` and ``tables`` (passed or stopped), ``failed`` and ``warnings`` (table,
        expectation, severity, observed, expected, rows), ``statistics`` for later nights.
    """
    counts = json.loads((folder / "counts.json").read_text())
    prepared = prepare(spark, folder, counts, trailing)
    try:
        results = _check(prepared, settings, night, len(trailing), docs)
    finally:
        prepared.release()
    failed = [r for r in results if r["severity"] == "critical"]
    warnings = [r for r in results if r["severity"] != "critical"]
    stopped = {r["table"] for r in failed}
    return {
        "verdict": "stopped" if stopped else "passed",
        "tables": {
            t: "stopped" if t in stopped else "passed" for t in ("impressions", "feedback", "items")
        },
        "failed": failed,
        "warnings": warnings,
        "statistics": prepared.figures,
    }


def _check(
    prepared: Prepared, settings: Settings, night: str, trailing: int, docs: Path
) -> list[dict[str, Any]]:
    """Every expectation that did not hold."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    site = {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(docs),
        },
    }
    context.add_data_docs_site(site_name="night", site_config=site)
    source = context.data_sources.add_spark("night")
    wanted = suites(settings, prepared.inverse_error, trailing)
    unmet: list[dict[str, Any]] = []
    for table, expectations in wanted.items():
        frame = getattr(prepared, table)
        batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe(table)
        suite = context.suites.add(gx.ExpectationSuite(table, expectations=expectations))
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(name=table, data=batch, suite=suite)
        )
        result = definition.run(
            batch_parameters={"dataframe": frame},
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": _SHOWN_ROWS,
                "unexpected_index_column_names": _KEYS[table],
            },
            run_id=gx.RunIdentifier(run_name=night),
        )
        unmet += [_unmet(table, r) for r in result.results if not r.success]
    context.build_data_docs()
    return unmet


def _unmet(table: str, result: Any) -> dict[str, Any]:
    config = result.expectation_config
    details = result.result or {}
    expected = {
        k: v
        for k, v in config.kwargs.items()
        if k in {"min_value", "max_value", "mostly", "value_set", "column_set"} and v is not None
    }
    observed = details.get("observed_value")
    if observed is None and "unexpected_percent" in details:
        observed = f"{details['unexpected_percent']:.2f}% of rows, such as " + ", ".join(
            str(v) for v in details.get("partial_unexpected_list", [])[:_SHOWN_ROWS]
        )
    if result.exception_info and not details:
        observed = f"the check could not be made: {_exception(result.exception_info)}"
    what = config.kwargs.get("column") or config.kwargs.get("column_list") or table
    return {
        "table": _TABLE_OF.get(table, table),
        "expectation": f"{config.type} of {what}",
        "severity": str(getattr(config.severity, "value", config.severity)),
        "observed": observed,
        "expected": expected,
        "rows": json.loads(
            json.dumps(details.get("partial_unexpected_index_list") or [], default=str)
        ),
    }


def _exception(info: Any) -> str:
    first = next(iter(info.values()), info) if isinstance(info, dict) else info
    return str(first.get("exception_message", first) if isinstance(first, dict) else first)[:300]
