"""Register: one MLflow version a night and configuration, where a reviewer decides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.contract.context import NightContext
from pipelines.contract.deployment import AUTOMATIC
from pipelines.contract.stage import Product
from pipelines.nights.judged import read_evidence
from pipelines.nights.tuning_state import ALTERNATIVES

if TYPE_CHECKING:
    from mrlm.metrics.curves import Curves


class Register:
    """Puts the challenger, its evidence, data docs and meta-update's state into the registry."""

    name = "register"
    place: Literal["run"] = "run"
    sections = ("registry",)
    form = 1

    def plan(self, context: NightContext) -> str:
        """The run that made the challenger that was evaluated."""
        return read_evidence(context).candidate or context.run_key

    def inputs(self, context: NightContext, plan: str) -> dict[str, str]:
        """The evidence and the challenger."""
        return {
            "tune_weights": context.run("tune_weights", plan).require().output_fingerprint(),
            "evaluate": context.run("evaluate").require().output_fingerprint(),
        }

    def run(self, context: NightContext, plan: str, out: Path) -> Product:
        """Register the version, or find the one of this run."""
        from mrlm.promotion.registry.registration import VersionContent, register_version
        from mrlm.report.memo import decision_memo

        evidence = read_evidence(context)
        pages = out / "pages"
        pages.mkdir()
        shutil.copytree(context.lake("validate").path("data_docs"), pages / "data_docs")
        tuned = context.run("tune_weights", plan)
        # Runs of earlier code have no state, and most no record of hyper-parameters.
        for name in {"state", "hyperparameters"} & set(tuned.require().outputs):
            shutil.copyfile(tuned.path(f"{name}.json"), pages / f"meta_{name}.json")
        learned = context.run("learn_behaviour", plan)
        if ALTERNATIVES in learned.require().outputs:
            record = pages / f"behaviour_{ALTERNATIVES}.json"
            shutil.copyfile(learned.path(f"{ALTERNATIVES}.json"), record)
        content = VersionContent(
            run_key=context.run_key,
            night=context.night,
            bundle=tuned.path("bundle"),
            reproduction=context.run("evaluate").path("reproduction.parquet"),
            memo=decision_memo(evidence, estimator=context.settings.gate.estimator),
            evidence=evidence,
            pages=pages,
            curves=curves_of(context, plan),
        )
        version = register_version(
            context.registry,
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


def curves_of(context: NightContext, run: str) -> Curves:
    """Of everything that was trained in a run; none where they were not kept."""
    from mrlm.metrics.curves import Curves

    found = {}
    for stage, room in (("learn_behaviour", "reward_model"), ("learn_policy", "learner")):
        manifest = context.run(stage, run).manifest()
        kept = manifest.counts.get("curves", {}) if manifest else {}
        for name, points in kept.items():
            found[f"{room}/{name}"] = [(int(step), float(value)) for step, value in points]
    return Curves(found)


STAGE = Register()
