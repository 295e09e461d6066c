"""Validate: the contract and the statistics that a bandit log must have, by Great Expectations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.stage import Product
from pipelines.expectations.words import describe
from pipelines.nights.lake import TABLES, ingested, table_passed


class Validate:
    """Judges tonight's clean tables; the verdict is data, and build_log obeys it."""

    name = "validate"
    place: Literal["lake"] = "lake"
    sections = ("validation", "ingestion", "objectives")
    form = 2

    def plan(self, context: NightContext) -> list[dict[str, Any]]:
        """Statistics of the passed nights before tonight, oldest first."""
        return _trailing_statistics(context)

    def inputs(self, context: NightContext, plan: list[dict[str, Any]]) -> dict[str, str]:
        """Tonight's clean tables and the statistics of the passed nights before."""
        return {
            "ingest": context.lake("ingest").require().output_fingerprint(),
            "trailing": of_json(plan),
        }

    def run(self, context: NightContext, plan: list[dict[str, Any]], out: Path) -> Product:
        """Run the suites, write the verdict, the summary and the data docs."""
        from pipelines.expectations.first_page import write_summary
        from pipelines.expectations.run import validate_night

        clean = context.lake("ingest")
        for place in ("counts.json", "catalog", *TABLES):
            clean.path(place)
        verdict = validate_night(
            context.spark(),
            clean.folder,
            context.night,
            context.settings,
            plan,
            out / "data_docs",
        )
        write_summary(out, context.night, verdict, plan)
        (out / "verdict.json").write_text(json.dumps(verdict, indent=1, sort_keys=True))
        log = context.log(self.name)
        for failure in verdict["failed"]:
            log.error("%s: %s", failure["table"], describe(failure))
            for row in failure["rows"]:
                log.error("  such as %s", row)
        for warning in verdict["warnings"]:
            log.warning("%s: %s", warning["table"], describe(warning))
        stopped = _reason(context, verdict) if verdict["verdict"] == "stopped" else ""
        return Product(outputs={"verdict": "verdict.json"}, counts=verdict, stopped=stopped)


def _reason(context: NightContext, verdict: dict[str, Any]) -> str:
    critical = [f for f in verdict["failed"] if f["severity"] == "critical"]
    failures = "; ".join(f"{f['table']}: {describe(f)}" for f in critical)
    from pipelines.expectations.first_page import PAGE

    page = context.lake("validate").folder / PAGE
    return (
        f"night {context.night} is stopped by validation: {failures}. The report is {page}. "
        "Deliver corrected files and run the night again; later nights go on without it"
    )


def _trailing_statistics(context: NightContext) -> list[dict[str, Any]]:
    """Statistics of the passed nights before tonight, oldest first."""
    found = []
    for night in list(ingested(context))[-context.settings.validation.trailing_nights :]:
        manifest = context.lake("validate", night).manifest()
        if manifest and table_passed(context, night, "impressions"):
            found.append(manifest.counts["statistics"])
    return found


STAGE = Validate()
