"""Evaluate: challenger, champion and baselines on nights nobody tuned on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.evidence.support import drift
from mrlm.messages.message import Message, restored
from pipelines.contract.code_version import code_version
from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product
from pipelines.nights.anchoring import anchor_comparison, anchor_inputs, anchor_probabilities
from pipelines.nights.champion import load_champion
from pipelines.nights.coming_nights import outlook, outlook_lifts, outlook_nights
from pipelines.nights.completed import read_completed
from pipelines.nights.earlier_promotions import hindcast, hindcast_inputs
from pipelines.nights.judged import judged_evidence
from pipelines.nights.lake import log_fingerprints, logged_decisions
from pipelines.nights.plan import Plan, plan_of

if TYPE_CHECKING:
    from mrlm.evidence.evidence import Evidence
    from mrlm.evidence.followed_promotions import Hindcast
    from mrlm.evidence.policy_estimate import PolicyEstimate


class Evaluate:
    """Makes the evidence that the gate judges."""

    name = "evaluate"
    place: Literal["run"] = "run"
    sections = ("gate", "objectives", "split", "registry")
    form = 4

    def plan(self, context: NightContext) -> Plan:
        """The run's plan, without gate nights where the challenger is the champion itself.

        To test it would use up nights and show nothing: they stay fresh for one that is another.
        """
        plan = plan_of(context)
        return (
            plan if plan.candidate or _why_it_stays(context, plan) == "" else replace(plan, gate=[])
        )

    def inputs(self, context: NightContext, plan: Plan) -> dict[str, str]:
        """The policies, the reward model, the bandit logs, what is followed."""
        made = plan.candidate or context.run_key
        tuned = context.run("tune_weights", made).require()
        model = context.run("learn_behaviour", made).require()
        return {
            **log_fingerprints(context, [*outlook_nights(plan), *(plan.judged or plan.tune)]),
            **hindcast_inputs(context, plan),
            **anchor_inputs(plan),
            **({"earned": str(plan.earned)} if plan.gate and plan.earned > 1 else {}),
            **({} if plan.log_tells is None else {"log_tells": repr(plan.log_tells)}),
            "reward_model": model.outputs["reward_model"].fingerprint,
            "challenger": tuned.outputs["bundle"].fingerprint,
            "champion": str(plan.champion),
            "baselines": context.run("learn_policy", made).output("baselines").fingerprint,
        }

    def run(self, context: NightContext, plan: Plan, out: Path) -> Product:
        """Estimate every policy and the paired difference, and keep each row's probabilities."""
        from mrlm.behaviour.ensemble.storage import load_reward_model
        from mrlm.evidence.canonical import canonical_json
        from mrlm.evidence.policies import decisions_table, policy_estimates
        from mrlm.evidence.scored_log import scored_log
        from mrlm.learners.storage import load_baselines
        from mrlm.policies.uniform import Uniform
        from mrlm.promotion.reproduction.reproduction import reproduction_rows, write_reproduction
        from mrlm.promotion.serving.bundle import load_bundle
        from mrlm.report.simple_baselines import baseline_line

        # A challenger under test brings what was fitted with it: nothing of that saw a gate night.
        made = plan.candidate or context.run_key
        challenger = load_bundle(context.run("tune_weights", made).path("bundle")).policy
        judged = plan.judged or plan.tune
        log, estimated = read_completed(context, judged)
        # Where no gate night is fresh, the rows that reproduce the model come from the tune nights.
        rows = reproduction_rows(
            challenger, log.decisions, context.settings.registry.reproduce_rows
        )
        reproduction = write_reproduction(rows, out / "reproduction.parquet")
        policies: dict[str, NDArray[np.float64]] = {}
        estimates: dict[str, Any] = {}
        if plan.gate:
            champion = load_champion(context, plan.champion)
            model = load_reward_model(context.run("learn_behaviour", made).path("reward_model"))
            simple = load_baselines(context.run("learn_policy", made).path("baselines"))
            compared = {"challenger": challenger, "champion": champion, "uniform": Uniform()}
            scored = scored_log(log, {**compared, **simple}, model)
            policies = {name: scored.probabilities[name] for name in compared}
            baselines = {name: scored.probabilities[name] for name in simple}
            star, gate = context.north_star.name, context.settings.gate
            least, criteria = context.settings.registry.least_users, gate.criteria(star)
            anchor, unmeasured = anchor_probabilities(context, plan, log)
            estimates = policy_estimates(
                log, policies, scored.q, estimated, criteria, least, baselines, anchor
            )
            estimates["anchor"] = anchor_comparison(context, plan, estimates, unmeasured)
            policies |= baselines
            own = estimates["policies"]["champion"][gate.estimator][star].value
            lifts = outlook_lifts(context, plan, challenger, champion, model, scored)
            estimates["outlook"] = outlook(context, plan, lifts, own)
            states = {night: found.state for night, found in lifts.items()}
            estimates["support"] |= {"drift": drift(states, star, least)}
        estimates["hindcast"] = hindcast(context, plan, log.decisions.catalog)
        if plan.log_tells is not None and estimated is not None:
            estimates["propensities"] = "estimated"
        evidence = _evidence(context, plan, log, estimates, reproduction)
        (out / "evidence.json").write_text(canonical_json(evidence.to_json()))
        if plan.gate and np.isfinite(log.candidate_propensity).all():
            policies["logger"] = log.candidate_propensity
        pq.write_table(decisions_table(log, policies), out / "decisions.parquet")
        star, estimator = evidence.north_star, context.settings.gate.estimator
        if evidence.stays:
            context.log(self.name).info("nothing to compare: the challenger is the champion itself")
        else:
            context.log(self.name).info(
                "in %s: challenger - champion %s, challenger - logger %s; %s",
                star,
                _in_words(evidence.difference(estimator, star)),
                _in_words(evidence.logger_difference(estimator, star)),
                baseline_line(evidence) or "no comparison with simple baselines",
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
                "gate": plan.judged,
                "rows": evidence.rows,
                "alarms": [] if evidence.hindcast is None else _alarms(evidence.hindcast),
            },
        )


def _in_words(found: PolicyEstimate | None) -> str:
    if found is None or found.value is None:
        return "unknown: no gate night was evaluated"
    if not found.certified or found.lower is None or found.upper is None:
        return f"{found.value:+.4g}, not certified ({'; '.join(found.reasons)})"
    return f"{found.value:+.4g} [{found.lower:+.4g}, {found.upper:+.4g}]"


def _alarms(found: Hindcast) -> list[int]:
    return [p.version for p in found.alarms]


def _evidence(
    context: NightContext, plan: Plan, log: BanditLog, estimates: dict[str, Any], reproduction: str
) -> Evidence:
    from mrlm.evidence.evidence import Evidence
    from mrlm.evidence.measures import measures

    tuned = context.run("tune_weights", plan.candidate or context.run_key).require()
    fit, tune = _made_on(context, plan)
    rows = len(log) if plan.gate else 0
    return Evidence(
        run_key=context.run_key,
        night=context.night,
        settings_fingerprint=context.settings.fingerprint(),
        code_version=code_version(__name__),
        champion_version=plan.champion,
        north_star=context.north_star.name,
        fit_nights=fit,
        tune_nights=tune,
        gate_nights=tuple(plan.judged),
        rows=rows,
        users=len(set(log.decisions.user)) if plan.gate else 0,
        logged=_more_than(rows, context, plan.judged) if plan.gate else 0,
        data={
            **log_fingerprints(context, [*fit, *tune, *plan.judged]),
            "challenger": tuned.outputs["bundle"].fingerprint,
        },
        weights=tuned.counts["weights"],
        guardrails={o.name: o.margin for o in context.objectives if o.role == "guardrail"},
        reproduction=reproduction,
        warnings=_warnings(context, plan, tuned),
        candidate=plan.candidate,
        stays=(stays := _why_it_stays(context, plan)),
        trial_begins="" if stays else _why_its_trial_begins(plan),
        measures=measures(context.objectives),
        **estimates,
    )


def _more_than(rows: int, context: NightContext, nights: list[str]) -> int:
    """Decisions that these nights' logs hold, where they are more than were read; else 0."""
    logged = sum(logged_decisions(context, nights).values())
    return logged if logged > rows else 0


def _made_on(context: NightContext, plan: Plan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Nights that the challenger was fitted and tuned on."""
    before = judged_evidence(context, plan.candidate) if plan.candidate else None
    if before is None:
        return tuple(plan.fit), tuple(plan.tune)
    return before.fit_nights, before.tune_nights


def _why_it_stays(context: NightContext, plan: Plan) -> str:
    """Why the challenger is the champion itself; "": it is another policy."""
    counts = context.run("tune_weights", plan.candidate or context.run_key).require().counts
    if counts["moved"]:
        return ""
    reason: str = restored(counts["reason"], counts.get("messages", {}))
    return reason


def _why_its_trial_begins(plan: Plan) -> str:
    """Why no night is judged before; "": the challenger is looked at first."""
    if plan.log_tells is None:
        return ""
    return Message(
        "the newest night's log tells {told:.1%} of what a night of the trial will, for whoever "
        "wrote it hardly ever shows a second choice",
        told=plan.log_tells,
    )


def _warnings(context: NightContext, plan: Plan, tuned: Manifest) -> tuple[str, ...]:
    found = []
    learned = context.run("learn_policy", plan.candidate or context.run_key).require()
    if "estimated" in {m.counts.get("propensities") for m in (learned, tuned)}:
        found.append(Message("the challenger was learned on estimated propensities"))
    return tuple(found)


STAGE = Evaluate()
