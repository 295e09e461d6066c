"""Gate: the promotion rule on paired evidence, written into the ledger once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.contract.context import NightContext
from pipelines.contract.deployment import AUTOMATIC, now
from pipelines.contract.outputs import StageFolder
from pipelines.contract.stage import Product
from pipelines.expectations.words import describe
from pipelines.nights.gate_notes import notes_of
from pipelines.nights.judged import read_evidence
from pipelines.nights.lake import TABLES

if TYPE_CHECKING:
    from mrlm.report.facts import NightFacts


class Gate:
    """Judges the registered version."""

    name = "gate"
    place: Literal["run"] = "run"
    sections = ("gate", "registry")
    form = 1

    def plan(self, context: NightContext) -> None:
        """Nothing is decided ahead."""

    def inputs(self, context: NightContext, plan: None) -> dict[str, str]:
        """The evidence and the version that was registered with it."""
        return {
            "evidence": context.run("evaluate").require().outputs["evidence"].fingerprint,
            "version": context.run("register").require().output_fingerprint(),
        }

    def run(self, context: NightContext, plan: None, out: Path) -> Product:
        """Judge, record, and put the verdict on the version's page."""
        from mrlm.promotion.judgement.recording import judge_and_record
        from mrlm.promotion.record.shortfall import record_shortfall
        from mrlm.promotion.registry.versions import annotate_version, find_version
        from mrlm.report.review_page import write_review

        place = context.registry
        version = int(context.run("register").require().counts["version"])
        evidence = read_evidence(context)
        gate = context.settings.gate
        with place.locked(AUTOMATIC, gate.lock_seconds):
            verdict = judge_and_record(
                place.ledger, evidence, gate, version=version, actor=AUTOMATIC, at=now()
            )
            short = record_shortfall(place.ledger, evidence, actor=AUTOMATIC, at=now())
            pages = out / "report"
            facts = _facts(context, evidence.candidate or context.run_key)
            memo = write_review(
                pages,
                evidence,
                verdict,
                facts,
                gate.estimator,
                context.settings.report.language,
            )
            found = find_version(place, context.run_key)
            if found and found.tags.get("mrlm.evidence") == evidence.fingerprint():
                # Evidence that came after the judgement never takes the judged one's page.
                annotate_version(
                    place,
                    version,
                    memo=memo,
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
                # Told once, by the run that found it.
                "fell_short": short.reason if short and short.run_key == context.run_key else "",
                "report": str(Path("report") / "index.html"),
            },
        )


def _facts(context: NightContext, made: str) -> NightFacts:
    """What the review page shows beside the evidence; ``made``: run that made the challenger."""
    from mrlm.messages.message import restored
    from mrlm.report.facts import NightFacts

    def counts(of: StageFolder) -> dict[str, Any]:
        manifest = of.manifest()
        return manifest.counts if manifest else {}

    rows = counts(context.lake("ingest"))
    validation = counts(context.lake("validate"))
    embed = counts(context.lake("embed"))
    tuned = counts(context.run("tune_weights", made))
    heads = counts(context.run("learn_behaviour", made))
    least = context.settings.registry.least_users
    return NightFacts(
        rows={
            t: {**rows[t], "quarantined": sum(rows[t]["quarantined"].values())}
            for t in TABLES
            if t in rows
        },
        validation=validation.get("verdict", ""),
        failed_expectations=[
            describe(restored(w, validation.get("messages", {})))
            for w in validation.get("warnings", [])
        ],
        items={k: embed[k] for k in ("encoded", "reused") if k in embed},
        reward_model={
            **heads.get("heads", {}),
            **{
                restored(name, heads.get("messages", {})): figures
                for name, figures in heads.get("groups", {}).items()
                if figures["users"] >= least
            },
        },
        alternative=heads.get("alternative", ""),
        distillation=heads.get("distillation", []),
        limited_by=restored(tuned.get("limited_by"), tuned.get("messages", {})),
        scenes=tuned.get("scenes", ()),
        floors=tuned.get("floors", {}),
        strategies=tuned.get("strategies", {}),
        units={o.name: o.unit for o in context.objectives if o.unit},
        yes_or_no=[
            o.name
            for o in context.objectives
            if o.source == "feedback"
            and not o.is_return
            and (o.transform != "value" or o.unit.startswith("share"))
        ],
        discounts={o.name: o.discount for o in context.objectives if o.is_return},
        notes=notes_of(context),
        links={"data docs": "data_docs/index.html"},
    )


STAGE = Gate()
