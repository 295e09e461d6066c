"""Register: one MLflow version a night and configuration, with its review page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from pipelines.context import NightContext
from pipelines.manifest import Manifest
from pipelines.registry import AUTOMATIC, place_of
from pipelines.stage import Product, require
from pipelines.stages.evaluate import read_evidence


class Register:
    """Puts the challenger with its evidence where a reviewer decides."""

    name = "register"
    place: Literal["run"] = "run"
    sections = ("registry",)

    def inputs(self, context: NightContext) -> dict[str, str]:
        """The evidence and the challenger."""
        found = {}
        for stage in ("tune_weights", "evaluate"):
            folder = context.workspace.run_stage(context.run_key, stage)
            found[stage] = require(folder, stage, context.night).output_fingerprint()
        return found

    def run(self, context: NightContext, out: Path) -> Product:
        """Write the review page and register the version, or find the one of this run."""
        from mrlm.promotion.registry import VersionContent, register_version
        from mrlm.report.memo import decision_memo
        from mrlm.report.review_page import write_review_page

        evidence = read_evidence(context)
        pages = out / "report"
        pages.mkdir()
        write_review_page(pages, evidence, None, **report_extras(context))
        docs = context.workspace.lake_stage(context.night, "validate") / "data_docs"
        if docs.is_dir():
            shutil.copytree(docs, pages / "data_docs")
        runs = context.workspace.run_stage
        content = VersionContent(
            run_key=context.run_key,
            night=context.night,
            bundle=runs(context.run_key, "tune_weights") / "bundle",
            reproduction=runs(context.run_key, "evaluate") / "reproduction.parquet",
            memo=decision_memo(evidence, None),
            evidence=evidence,
            pages=pages,
        )
        version = register_version(
            place_of(context.settings, context.workspace),
            content,
            actor=AUTOMATIC,
            seconds=context.settings.gate.lock_seconds,
        )
        context.log(self.name).info(
            "version %d %s", version.version, "made" if version.created else "found"
        )
        (out / "version.json").write_text(json.dumps({"version": version.version}))
        return Product(
            outputs={"version": "version.json"},
            counts={"version": version.version, "report": str(Path("report") / "index.html")},
        )


def report_extras(context: NightContext) -> dict[str, Any]:
    """What the review page shows beside the evidence: heads and data counts."""

    def counts(folder: Path) -> dict[str, Any]:
        manifest = Manifest.read(folder)
        return manifest.counts if manifest else {}

    lake, run = context.workspace.lake_stage, context.workspace.run_stage
    return {
        "heads": counts(run(context.run_key, "learn_behaviour")).get("heads", {}),
        "rows": counts(lake(context.night, "ingest")),
        "validation": counts(lake(context.night, "validate")),
        "tuning": counts(run(context.run_key, "tune_weights")),
    }


STAGE = Register()
