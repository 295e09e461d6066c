"""Validate: the contract and the statistics that a bandit log must have, by Great Expectations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow.parquet as pq

from mrlm.messages.message import recorded
from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product
from pipelines.expectations.words import describe
from pipelines.nights.deliveries import doubts
from pipelines.nights.lake import TABLES, ingested, table_passed

if TYPE_CHECKING:
    from pipelines.expectations.event_delivery import EventCounts


_EVENTS = "events_by_item"


@dataclass(frozen=True)
class Trailing:
    """Passed nights before tonight, oldest first.

    Attributes:
        statistics: of each.
        trusted: manifests of those whose deliveries can be trusted, by night.
    """

    statistics: list[dict[str, Any]]
    trusted: dict[str, Manifest]


class Validate:
    """Judges tonight's clean tables; the verdict is data, and build_log obeys it."""

    name = "validate"
    place: Literal["lake"] = "lake"
    sections = ("validation", "ingestion", "objectives")
    form = 2

    def plan(self, context: NightContext) -> Trailing:
        """Passed nights before tonight, oldest first."""
        return _trailing(context)

    def inputs(self, context: NightContext, plan: Trailing) -> dict[str, str]:
        """Tonight's clean tables, and the statistics and events of the passed nights before."""
        ingest = context.lake("ingest").require()
        found = {"ingest": ingest.output_fingerprint(), "trailing": of_json(plan.statistics)}
        # The verdict reads counts too: of what was sent, quarantined, repeated or late.
        if "counted" in ingest.counts:
            found["counts"] = ingest.counts["counted"]
        events = {n: m.outputs[_EVENTS].fingerprint for n, m in plan.trusted.items()}
        return {**found, "trailing_events": of_json(events)} if events else found

    def run(self, context: NightContext, plan: Trailing, out: Path) -> Product:
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
            plan.statistics,
            [_counted(context, night, m) for night, m in plan.trusted.items()],
            out,
            clean.require().counts.get("sent"),
        )
        language = context.settings.report.language
        write_summary(out, context.night, verdict, plan.statistics, language)
        (out / "verdict.json").write_text(json.dumps(verdict, indent=1, sort_keys=True))
        log = context.log(self.name)
        for failure in verdict["failed"]:
            log.error("%s: %s", failure["table"], describe(failure))
            for row in failure["rows"]:
                log.error("  such as %s", row)
        for warning in verdict["warnings"]:
            log.warning("%s: %s", warning["table"], describe(warning))
        stopped = _reason(context, verdict) if verdict["verdict"] == "stopped" else ""
        outputs = {"verdict": "verdict.json"}
        if (out / f"{_EVENTS}.parquet").exists():
            outputs[_EVENTS] = f"{_EVENTS}.parquet"
        # For pages in another language: a manifest holds plain text.
        counts = {**verdict, "messages": recorded(verdict["warnings"])}
        return Product(outputs=outputs, counts=counts, stopped=stopped)


def _reason(context: NightContext, verdict: dict[str, Any]) -> str:
    critical = [f for f in verdict["failed"] if f["severity"] == "critical"]
    failures = "; ".join(f"{f['table']}: {describe(f)}" for f in critical)
    from pipelines.expectations.first_page import PAGE

    page = context.lake("validate").folder / PAGE
    return (
        f"night {context.night} is stopped by validation: {failures}. The report is {page}. "
        "Deliver corrected files and run the night again; later nights go on without it"
    )


def _trailing(context: NightContext) -> Trailing:
    most = context.settings.validation.trailing_nights
    passed = {}
    for night in reversed(ingested(context)):
        manifest = context.lake("validate", night).manifest()
        if manifest and table_passed(context, night, "impressions"):
            passed[night] = manifest
    # Nights in doubt are passed over, however many: a lasting loss does not become the measure.
    doubted = {night for night, _ in doubts(context, passed)}
    trusted = [n for n, m in passed.items() if _EVENTS in m.outputs and n not in doubted]
    return Trailing(
        [passed[n].counts["statistics"] for n in sorted(list(passed)[:most])],
        {n: passed[n] for n in sorted(trusted[:most])},
    )


def _counted(context: NightContext, night: str, manifest: Manifest) -> EventCounts:
    from pipelines.expectations.event_delivery import EventCounts

    path = context.lake("validate", night).path(f"{_EVENTS}.parquet")
    return EventCounts(pq.read_table(path), manifest.counts["events_by_hour"])


STAGE = Validate()
