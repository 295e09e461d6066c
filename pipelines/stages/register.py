"""Register: one MLflow version a night and configuration, where a reviewer decides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

from pipelines.contract.context import NightContext
from pipelines.contract.registry import AUTOMATIC, place_of
from pipelines.contract.stage import Product, read_output, require
from pipelines.stages.evaluate import read_evidence


class Register:
    """Puts the challenger, its evidence and the data docs into the registry."""

    name = "register"
    place: Literal["run"] = "run"
    sections = ("registry",)
    form = 1

    def inputs(self, context: NightContext) -> dict[str, str]:
        """The evidence and the challenger."""
        found = {}
        for stage in ("tune_weights", "evaluate"):
            folder = context.workspace.run_stage(context.run_key, stage)
            found[stage] = require(folder, stage, context.night).output_fingerprint()
        return found

    def run(self, context: NightContext, out: Path) -> Product:
        """Register the version, or find the one of this run."""
        from mrlm.promotion.registry.versions import VersionContent, register_version
        from mrlm.report.memo import decision_memo

        evidence = read_evidence(context)
        pages = out / "pages"
        pages.mkdir()
        validated = context.workspace.lake_stage(context.night, "validate")
        shutil.copytree(read_output(validated, "data_docs"), pages / "data_docs")

        def made(stage: str, name: str) -> Path:
            return read_output(context.workspace.run_stage(context.run_key, stage), name)

        content = VersionContent(
            run_key=context.run_key,
            night=context.night,
            bundle=made("tune_weights", "bundle"),
            reproduction=made("evaluate", "reproduction.parquet"),
            memo=decision_memo(evidence, estimator=context.settings.gate.estimator),
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
            counts={"version": version.version},
        )


STAGE = Register()
