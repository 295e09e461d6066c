"""Validate: the contract and the statistics that a bandit log must have, by Great Expectations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from mrlm.report.visible import visible
from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product, read_output, require
from pipelines.nights.lake import ingested, table_passed
from pipelines.stages.ingest import TABLES

# Of what was seen or expected: the verdict has it whole.
_LONGEST = 500


class Validate:
    """Judges tonight's clean tables; the verdict is data, and build_log obeys it."""

    name = "validate"
    place: Literal["lake"] = "lake"
    sections = ("validation", "ingestion", "objectives")
    form = 1

    def inputs(self, context: NightContext) -> dict[str, str]:
        """Tonight's clean tables and the statistics of the passed nights before."""
        folder = context.workspace.lake_stage(context.night, "ingest")
        manifest = require(folder, "ingest", context.night)
        return {
            "ingest": manifest.output_fingerprint(),
            "trailing": of_json(trailing_statistics(context)),
        }

    def run(self, context: NightContext, out: Path) -> Product:
        """Run the suites, write the verdict and the data docs."""
        from pipelines.expectations.run import validate_night

        ingested_folder = context.workspace.lake_stage(context.night, "ingest")
        for place in ("counts.json", *TABLES):
            read_output(ingested_folder, place)
        verdict = validate_night(
            context.spark(),
            ingested_folder,
            context.night,
            context.settings,
            trailing_statistics(context),
            out / "data_docs",
        )
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
    docs = context.workspace.lake_stage(context.night, "validate") / "data_docs"
    return (
        f"night {context.night} is stopped by validation: {failures}. The report is {docs}. "
        "Deliver corrected files and run the night again; later nights go on without it"
    )


def describe(failure: dict[str, Any]) -> str:
    """One line that says which expectation failed and with what."""
    saw, expected = (visible(failure[k], _LONGEST) for k in ("observed", "expected"))
    return f"{failure['expectation']}: saw {saw}, expected {expected}"


def trailing_statistics(context: NightContext) -> list[dict[str, Any]]:
    """Statistics of the passed nights before tonight, oldest first."""
    found = []
    for night in list(ingested(context))[-context.settings.validation.trailing_nights :]:
        manifest = Manifest.read(context.workspace.lake_stage(night, "validate"))
        if manifest and table_passed(context, night, "impressions"):
            found.append(manifest.counts["statistics"])
    return found


STAGE = Validate()
