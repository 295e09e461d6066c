"""Gate: the promotion rule on paired evidence, written into the ledger once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pipelines.context import NightContext
from pipelines.registry import AUTOMATIC, now, place_of
from pipelines.stage import Product, require
from pipelines.stages.evaluate import read_evidence
from pipelines.stages.register import report_extras


class Gate:
    """Judges the registered version."""

    name = "gate"
    place: Literal["run"] = "run"
    sections = ("gate", "registry")

    def inputs(self, context: NightContext) -> dict[str, str]:
        """The evidence and the version that was registered with it."""
        evaluated = context.workspace.run_stage(context.run_key, "evaluate")
        registered = context.workspace.run_stage(context.run_key, "register")
        return {
            "evidence": require(evaluated, "evaluate", context.night)
            .outputs["evidence"]
            .fingerprint,
            "version": require(registered, "register", context.night).output_fingerprint(),
        }

    def run(self, context: NightContext, out: Path) -> Product:
        """Judge, record, and put the verdict on the version's page."""
        from mrlm.promotion.gate import judge_and_record
        from mrlm.promotion.registry import annotate_version
        from mrlm.report.memo import decision_memo
        from mrlm.report.review_page import write_review_page

        place = place_of(context.settings, context.workspace)
        registered = context.workspace.run_stage(context.run_key, "register")
        version = int(require(registered, "register", context.night).counts["version"])
        evidence = read_evidence(context)
        gate = context.settings.gate
        with place.locked(AUTOMATIC, gate.lock_seconds):
            verdict = judge_and_record(
                place.ledger, evidence, gate, version=version, actor=AUTOMATIC, at=now()
            )
            pages = out / "report"
            pages.mkdir()
            write_review_page(pages, evidence, verdict, **report_extras(context))
            annotate_version(
                place,
                version,
                memo=decision_memo(evidence, verdict),
                tags={"gate": "promote" if verdict.promote else "refuse"},
                pages=pages,
            )
        context.log(self.name).info(
            "%s: %s", "promote" if verdict.promote else "refuse", verdict.reason
        )
        (out / "verdict.json").write_text(json.dumps(verdict.to_json(), indent=1, sort_keys=True))
        return Product(
            outputs={"verdict": "verdict.json"},
            counts={
                "promote": verdict.promote,
                "reason": verdict.reason,
                "version": version,
                "report": str(Path("report") / "index.html"),
            },
        )


STAGE = Gate()
