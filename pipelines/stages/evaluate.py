"""Evaluate: challenger, champion and baselines on nights nobody tuned on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.evidence.paired import marking, probabilities, thresholds
from mrlm.evidence.support import drift, support
from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product, read_output, require
from pipelines.nights.completed import estimated_report, read_completed
from pipelines.nights.hindcast import hindcast, hindcast_inputs
from pipelines.nights.lake import log_fingerprints
from pipelines.nights.outlook import outlook, outlook_nights, outlook_states
from pipelines.nights.plan import Plan, plan_of
from pipelines.stages.tune_weights import load_champion, predictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrlm.evidence.estimate import PolicyEstimate
    from mrlm.evidence.evidence import Evidence
    from mrlm.ope.batch import EvaluationBatch
    from mrlm.ope.contract import Estimator
    from mrlm.ope.intervals import Estimate
    from mrlm.ope.propensity import EstimatedPropensities
    from mrlm.ope.scores import Scores
    from mrlm.promotion.record.followed_nights import Hindcast

Probabilities = dict[str, NDArray[np.float64]]


class Evaluate:
    """Makes the evidence that the gate judges."""

    name = "evaluate"
    place: Literal["run"] = "run"
    sections = ("gate", "objectives", "split", "registry")
    form = 1

    def inputs(self, context: NightContext) -> dict[str, str]:
        """The challenger, the champion, the reward model, the bandit logs, what is followed."""
        plan = plan_of(context)
        folder = context.workspace.run_stage(context.run_key, "tune_weights")
        tuned = require(folder, "tune_weights", context.night)
        behaviour = _stage_folder(context, "learn_behaviour")
        model = require(behaviour, "learn_behaviour", context.night)
        return {
            **log_fingerprints(context, [*outlook_nights(plan), *(plan.gate or plan.tune)]),
            **hindcast_inputs(context, plan),
            "reward_model": model.outputs["reward_model"].fingerprint,
            "challenger": tuned.outputs["bundle"].fingerprint,
            "champion": str(plan.champion),
        }

    def run(self, context: NightContext, out: Path) -> Product:
        """Estimate every policy and the paired difference, and keep each row's probabilities."""
        from mrlm.behaviour.model import load_reward_model
        from mrlm.evidence.canonical import canonical_json
        from mrlm.policies.uniform import Uniform
        from mrlm.promotion.reproduction.reproduction import reproduction_rows, write_reproduction
        from mrlm.promotion.serving.bundle import load_bundle

        plan = plan_of(context)
        challenger = load_bundle(_made(context, "tune_weights", "bundle")).policy
        judged = plan.gate or plan.tune
        log, estimated = read_completed(context, judged)
        # Where no gate night is fresh, the rows that reproduce the model come from the tune nights.
        rows = reproduction_rows(
            challenger, log.decisions, context.settings.registry.reproduce_rows
        )
        reproduction = write_reproduction(rows, out / "reproduction.parquet")
        policies: Probabilities = {}
        estimates: dict[str, Any] = {}
        if plan.gate:
            champion = load_champion(context, plan.champion)
            policies = {
                "challenger": probabilities(challenger, log),
                "champion": probabilities(champion, log),
                "uniform": probabilities(Uniform(), log),
            }
            model = load_reward_model(_made(context, "learn_behaviour", "reward_model"))
            q = predictions(log, context.objectives, model)
            estimates = _estimates(context, log, policies, q, estimated)
            star, gate = context.north_star.name, context.settings.gate
            own = estimates["policies"]["champion"][gate.estimator][star].value
            nights = outlook_states(context, plan, challenger, champion, model)
            estimates["outlook"] = outlook(context, plan, nights, own)
            estimates["support"] |= {"drift": drift(nights, star)}
        estimates["hindcast"] = hindcast(context, plan)
        evidence = _evidence(context, plan, log, estimates, reproduction)
        (out / "evidence.json").write_text(canonical_json(evidence.to_json()))
        if plan.gate and np.isfinite(log.candidate_propensity).all():
            policies["logger"] = log.candidate_propensity
        pq.write_table(_decisions_table(log, policies), out / "decisions.parquet")
        star, estimator = evidence.north_star, context.settings.gate.estimator
        context.log(self.name).info(
            "in %s: challenger - champion %s, challenger - logger %s",
            star,
            _in_words(evidence.difference(estimator, star)),
            _in_words(evidence.logger_difference(estimator, star)),
        )
        return Product(
            outputs={
                "evidence": "evidence.json",
                "decisions": "decisions.parquet",
                "reproduction": "reproduction.parquet",
            },
            counts={
                "fit": plan.fit,
                "tune": plan.tune,
                "gate": plan.gate,
                "rows": evidence.rows,
                "alarms": [] if evidence.hindcast is None else _alarms(evidence.hindcast),
            },
        )


def read_evidence(context: NightContext) -> Evidence:
    """The evidence of this run."""
    from mrlm.evidence.evidence import Evidence

    folder = _stage_folder(context, "evaluate")
    require(folder, "evaluate", context.night)
    return Evidence.from_json(json.loads(read_output(folder, "evidence.json").read_text()))


def _in_words(found: PolicyEstimate | None) -> str:
    if found is None or found.value is None:
        return "unknown: no fresh gate night"
    if not found.certified or found.lower is None or found.upper is None:
        return f"{found.value:+.4g}, not certified ({'; '.join(found.reasons)})"
    return f"{found.value:+.4g} [{found.lower:+.4g}, {found.upper:+.4g}]"


def _alarms(found: Hindcast) -> list[int]:
    return [p.version for p in found.alarms]


def _stage_folder(context: NightContext, stage: str) -> Path:
    return context.workspace.run_stage(context.run_key, stage)


def _made(context: NightContext, stage: str, name: str) -> Path:
    return read_output(_stage_folder(context, stage), name)


def _estimates(
    context: NightContext,
    log: BanditLog,
    policies: Probabilities,
    q: NDArray[np.float64],
    estimated: EstimatedPropensities | None,
) -> dict[str, Any]:
    from mrlm.ope.batch import EvaluationBatch
    from mrlm.ope.difference import difference
    from mrlm.ope.intervals import estimates
    from mrlm.ope.logging_policy import logger_scores
    from mrlm.ope.nights.mixtures import variance_weighted
    from mrlm.ope.registry import ESTIMATORS
    from mrlm.ope.state.state import EvaluationState

    level, needed = context.settings.gate.level, thresholds(context)
    batch = EvaluationBatch.from_log(log, policies["challenger"], q, "challenger")
    found: dict[str, Any] = {
        "policies": {},
        "differences": {},
        "logger_differences": {},
        "diagnostics": {},
    }
    # What the logger never shows is not known where its propensities are estimates.
    logged = batch if estimated is None else replace(batch, candidate_propensity=None)
    found["support"] = support(log, logged)
    mark = marking(context, estimated is not None)
    if estimated is not None:
        found["propensities"] = "estimated"
        found["support"]["estimated_propensities"] = estimated_report(batch, estimated)
    made: dict[str, Callable[[Estimator], Scores]] = {
        policy: partial(_of_target, batch.with_target(target, policy))
        for policy, target in policies.items()
    }
    made["logger"] = partial(logger_scores, logged)
    scores: dict[tuple[str, str], Scores] = {}
    for policy, scored in made.items():
        found["policies"][policy] = {}
        for name, estimator in ESTIMATORS.items():
            scores[policy, name] = mark(scored(estimator))
            state = EvaluationState.of(scores[policy, name])
            found["policies"][policy][name] = _plain(estimates(state, level, needed))
        unmarked = scored(ESTIMATORS["ips"])
        found["diagnostics"][policy] = _diagnostics(unmarked, context.north_star.name)
    for name in ESTIMATORS:
        to_logger = difference(scores["challenger", name], scores["logger", name])
        against = estimates(EvaluationState.of(to_logger), level, needed)
        found["logger_differences"][name] = _plain(against)
        paired = difference(scores["challenger", name], scores["champion", name])
        state = EvaluationState.of(paired)
        found["differences"][name] = _plain(estimates(state, level, needed))
        if "loggers" in found["support"] and name == context.settings.gate.estimator:
            # Beside the pooled estimate, which the gate takes: each logger's own by its precision.
            weighed = variance_weighted(paired, log.policy_id, context.north_star.name)
            apart = estimates(EvaluationState.of(weighed), level, needed)
            found["differences"][weighed.estimator] = _plain(apart)
    return found


def _plain(found: Mapping[str, Estimate]) -> dict[str, PolicyEstimate]:
    from mrlm.evidence.estimate import PolicyEstimate

    return {name: PolicyEstimate.of(e) for name, e in found.items()}


def _of_target(batch: EvaluationBatch, estimator: Estimator) -> Scores:
    return estimator(batch)


def _diagnostics(scores: Scores, north_star: str) -> dict[str, Any]:
    from mrlm.ope.state.state import EvaluationState
    from mrlm.ope.verdict.diagnostics import diagnostics

    state = EvaluationState.of(scores)
    counts, edges = np.histogram(np.minimum(scores.weight[:, 0], 20.0), bins=40)
    return {
        **diagnostics(state)[north_star][0].to_json(),
        "weight_histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _evidence(
    context: NightContext, plan: Plan, log: BanditLog, estimates: dict[str, Any], reproduction: str
) -> Evidence:
    from mrlm.evidence.evidence import Evidence

    tuned = require(_stage_folder(context, "tune_weights"), "tune_weights", context.night)
    rows = len(log) if plan.gate else 0
    return Evidence(
        run_key=context.run_key,
        night=context.night,
        settings_fingerprint=context.settings.fingerprint(),
        code_version=code_version(__name__),
        champion_version=plan.champion,
        north_star=context.north_star.name,
        fit_nights=tuple(plan.fit),
        tune_nights=tuple(plan.tune),
        gate_nights=tuple(plan.gate),
        rows=rows,
        users=len(set(log.decisions.user)) if plan.gate else 0,
        data={
            **log_fingerprints(context, [*plan.fit, *plan.tune, *plan.gate]),
            "challenger": tuned.outputs["bundle"].fingerprint,
        },
        weights=tuned.counts["weights"],
        guardrails={o.name: o.margin for o in context.objectives if o.role == "guardrail"},
        reproduction=reproduction,
        warnings=_warnings(context, tuned),
        **estimates,
    )


def _warnings(context: NightContext, tuned: Manifest) -> tuple[str, ...]:
    found = []
    if not tuned.counts["moved"]:
        found.append(f"the challenger is the champion itself: {tuned.counts['reason']}")
    learned = require(_stage_folder(context, "learn_policy"), "learn_policy", context.night)
    if "estimated" in {m.counts.get("propensities") for m in (learned, tuned)}:
        found.append("the challenger was learned on estimated propensities")
    return tuple(found)


def _decisions_table(log: BanditLog, policies: Probabilities) -> pa.Table:
    """Each judged decision with its candidates and the policies' probabilities of them."""
    offsets = pa.array(log.decisions.offsets, pa.int32())
    items = log.decisions.catalog.item_id[log.decisions.candidates.values]
    columns = {
        "decision_id": pa.array(log.decision_id, pa.string()),
        "night": pa.array(log.night.astype("datetime64[D]"), pa.date32()),
        "candidates": pa.ListArray.from_arrays(offsets, pa.array(items, pa.string())),
    }
    for name, probability in policies.items():
        columns[name] = pa.ListArray.from_arrays(offsets, pa.array(probability))
    table = pa.table(columns)
    return table if policies else table.slice(0, 0)


STAGE = Evaluate()
