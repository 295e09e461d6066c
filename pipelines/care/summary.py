"""The table of nights: what came in, what was learned, what was judged, beside the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrlm.promotion.record.ledger import LedgerError
from pipelines.care.gate_standing import advice_lines, afterwards, trial_lines
from pipelines.care.truth import true_values
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.contract.workspace import Workspace, write_atomically
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.judged import read_evidence
from pipelines.nights.lake import TABLES
from pipelines.running.night import Closing, closing_of
from pipelines.stages import ORDER, output_of

if TYPE_CHECKING:
    from mrlm.evidence.evidence import Evidence
    from mrlm.evidence.policy_estimate import PolicyEstimate

_ROW_KINDS = ("raw", "clean", "duplicate", "late")
_NO_BASELINES: dict[str, Any] = {"baselines": {}, "best_baseline": None, "against_baselines": ""}


def summarise(contexts: list[NightContext], workspace: Workspace) -> dict[str, Any]:
    """Gather the nights and write ``summary.json``."""
    summary = {
        "advice": advice_lines(contexts[-1]) if contexts else [],
        "gate": trial_lines(contexts[-1]) if contexts else [],
        "nights": [{**_night(c), "afterwards": moves_after(c)} for c in contexts],
    }
    write_atomically(workspace.summary, json.dumps(summary, indent=1))
    return summary


def manifests_of(context: NightContext) -> dict[str, Manifest]:
    """Manifests of the completed stages of a night under its configuration.

    Raises:
        DamagedError: one is not as it was written.
    """
    found = {}
    for name in ORDER:
        manifest = output_of(name, context).manifest()
        if manifest:
            found[name] = manifest
    return found


@dataclass(frozen=True)
class NightStanding:
    """Where a night stands.

    Attributes:
        done: manifests of the completed stages.
        closing: how it was closed; None while it is not.
        broken: what cannot be read, in words that name the file.
    """

    done: dict[str, Manifest]
    closing: Closing | None
    broken: tuple[str, ...]


def standing_of(context: NightContext) -> NightStanding:
    """Where a night stands, as far as its files can be read."""
    done, closing, broken = {}, None, []
    for name in ORDER:
        try:
            manifest = output_of(name, context).manifest()
        except (DamagedError, OSError) as error:
            broken.append(str(error))
            continue
        if manifest:
            done[name] = manifest
    try:
        closing = closing_of(context)
    except (DamagedError, OSError) as error:
        broken.append(str(error))
    return NightStanding(done, closing, tuple(broken))


def objections_of(context: NightContext, standing: NightStanding) -> list[str]:
    """Of a night that the gate refused what spoke against a promotion, a sentence each.

    Empty where the night ended otherwise, or was refused for something else than the gate's word.
    """
    from mrlm.promotion.judgement.verdict import Verdict

    closing = standing.closing
    if "gate" not in standing.done or closing is None or closing.verdict != "refused":
        return []
    try:
        found = json.loads(context.run("gate").path("verdict.json").read_text())
    except (DataError, OSError):
        # The night's own line tells of the file; its reason stands in the closing.
        return []
    told = Verdict.from_json(found).objections()
    return told if closing.reason.endswith("; ".join(told)) else []


def moves_after(context: NightContext) -> list[str]:
    """What became of a closed night's version since, in words; a broken ledger says nothing."""
    try:
        closing = closing_of(context)
        entries = context.registry.ledger.entries()
    except (DamagedError, LedgerError, OSError):
        # Whoever shows the night, and the gate, says so in lines of its own.
        return []
    return [] if closing is None else afterwards(entries, context.run_key, closing.verdict)


def _night(context: NightContext) -> dict[str, Any]:
    standing = standing_of(context)
    done, closing, broken = standing.done, standing.closing, list(standing.broken)

    def counts(stage: str) -> dict[str, Any]:
        return done[stage].counts if stage in done else {}

    validation = counts("validate")
    embed = counts("embed")
    heads = counts("learn_behaviour").get("heads", {})
    version = counts("register").get("version")
    try:
        judged = _judged(context, done, version)
    except (DataError, OSError, ValueError, KeyError) as error:
        broken.append(str(error))
        judged = _judged(context, {}, version)
    return {
        "night": context.night,
        "rows": _rows(counts("ingest")),
        "validation": {
            "verdict": validation.get("verdict"),
            "failed": [f["expectation"] for f in validation.get("failed", [])],
        },
        "items": {"encoded": embed.get("encoded"), "reused": embed.get("reused")},
        "auc": {n: h["auc"] for n, h in heads.items() if h.get("auc") is not None},
        "weights": counts("tune_weights").get("weights", {}),
        **judged,
        "verdict": closing.verdict if closing else None,
        "reason": closing.reason if closing else None,
        "objections": objections_of(context, standing),
        "seconds": round(sum(m.seconds for m in done.values()), 1),
        "report": _report(context, done, closing),
        "broken": broken,
    }


def _rows(counts: dict[str, Any]) -> dict[str, int | None]:
    tables = [counts[t] for t in TABLES if t in counts]
    if not tables:
        return dict.fromkeys([*_ROW_KINDS, "quarantined"])
    rows: dict[str, int | None] = {k: sum(t[k] for t in tables) for k in _ROW_KINDS}
    rows["quarantined"] = sum(sum(t["quarantined"].values()) for t in tables)
    return rows


def _judged(
    context: NightContext, done: dict[str, Manifest], version: int | None
) -> dict[str, Any]:
    if "evaluate" not in done:
        return {**dict.fromkeys(("challenger", "champion", "difference")), **_NO_BASELINES}
    evidence = read_evidence(context)
    truth = true_values(context, list(evidence.gate_nights))
    estimator, star = context.settings.gate.estimator, evidence.north_star

    def policy(name: str, number: int | None) -> dict[str, Any] | None:
        found = _row(evidence.estimate(name, estimator, star), truth.get(name))
        return None if found is None else {"version": number, **found}

    return {
        "challenger": policy("challenger", version),
        "champion": policy("champion", evidence.champion_version),
        "difference": _row(evidence.difference(estimator, star), _gap(truth, "champion")),
        **_baselines(evidence, truth, estimator),
    }


def _baselines(evidence: Evidence, truth: dict[str, float], estimator: str) -> dict[str, Any]:
    from mrlm.report.simple_baselines import baseline_line, baselines_by_value, best_baseline

    star, found = evidence.north_star, {}
    for name in baselines_by_value(evidence, estimator):
        found[name] = {
            "policy": _row(evidence.estimate(name, estimator, star), truth.get(name)),
            "difference": _row(evidence.baseline_difference(name), _gap(truth, name)),
        }
    return {
        "baselines": found,
        "best_baseline": best_baseline(evidence, truth, estimator),
        "against_baselines": baseline_line(evidence),
    }


def _row(estimate: PolicyEstimate | None, true: float | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    few = estimate.of_few_rows()
    return {
        "value": estimate.value,
        "lower": None if few else estimate.lower,
        "upper": None if few else estimate.upper,
        "certified": estimate.certified,
        "truth": true,
    }


def _gap(truth: dict[str, float], rival: str) -> float | None:
    if {"challenger", rival} <= truth.keys():
        return truth["challenger"] - truth[rival]
    return None


def _report(
    context: NightContext, done: dict[str, Manifest], closing: Closing | None
) -> str | None:
    """Path of what a person should look at."""
    if "gate" in done:
        return str(context.run("gate").folder / done["gate"].counts["report"])
    if closing and closing.verdict == "stopped":
        folder = context.lake("validate").folder
        page = folder / "summary.html"
        # Earlier code wrote the data docs alone.
        return str(page if page.exists() else folder / "data_docs")
    return None
