"""The gate of the gated system: evidence, the rule, and a ledger, without a registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks._demonstration import settings
from benchmarks.loop._challengers import Challenger, Nights, nights_of
from benchmarks.loop._world import Past, gate
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.stored.logged_propensities import LoggedPropensities
from mrlm.evidence.anchor_comparison import Link, compare_with_anchor
from mrlm.evidence.evidence import Evidence
from mrlm.evidence.log_breadth import too_little_told
from mrlm.evidence.policies import policy_estimates
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.evidence.scored_log import scored_log
from mrlm.policies.contract import Policy
from mrlm.policies.mixture import Mixture
from mrlm.promotion.judgement.recording import judge_and_record
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.record.anchor import anchor_version, links_from_anchor
from mrlm.promotion.record.candidate import candidate_under_test, maker_of, version_on_trial
from mrlm.promotion.record.ledger import Entry, Ledger, champion_stack, judged_nights

ACTOR, FIRST = "loop", "first"


@dataclass(frozen=True)
class Look:
    """What a night has to judge.

    Attributes:
        run_key: of the night.
        nights: to fit, to tune and to judge on.
        maker: run key of the run whose challenger is judged; the night's own: a new one.
        tested: gate nights of earlier looks at it.
        begins: whether its trial begins before any night is judged.
    """

    run_key: str
    nights: Nights
    maker: str
    tested: list[str] = field(default_factory=list)
    begins: bool = False


@dataclass
class Registry:
    """Policies by version and by the run that made them, and the ledger that says who is champion.

    Attributes:
        ledger: of this system alone.
        policies: by version.
        made: challengers by the run key of their run.
        version: of each of them.
        made_on: nights that each of them learned from.
        accepted: version to the differences that it was promoted for.
    """

    ledger: Ledger
    policies: dict[int, Policy]
    made: dict[str, Challenger] = field(default_factory=dict)
    version: dict[str, int] = field(default_factory=dict)
    made_on: dict[str, list[str]] = field(default_factory=dict)
    accepted: dict[int, Mapping[str, PolicyEstimate]] = field(default_factory=dict)

    @classmethod
    def begin(cls, folder: Path, first: Policy) -> Registry:
        """With a first champion, which is the anchor too."""
        ledger = Ledger(folder / "ledger.jsonl")
        ledger.append(Entry("initial", FIRST, 1, ACTOR, FIRST, "the logger"))
        return cls(ledger, {1: first})

    @property
    def champion(self) -> int:
        """Version of the champion."""
        return champion_stack(self.ledger.entries())[-1]

    @property
    def serving(self) -> Policy:
        """The champion, at its share beside the challenger on trial."""
        champion, share = self.policies[self.champion], gate().trial_share
        version = version_on_trial(self.ledger.entries()) if share > 0 else None
        if version is None:
            return champion
        challenger = self.policies[version]
        name = f"{champion.name} + {challenger.name}"
        return Mixture((champion, challenger), (1.0 - share, share), name)

    def look(self, night: str, past: Past) -> Look | None:
        """What tonight judges, or whose trial begins; None: nothing, or too few nights are final.

        As a night's plan has it (``pipelines.nights.plan``).
        """
        run_key, entries, final = f"{night}-{ACTOR}", self.ledger.entries(), past.final
        last = candidate_under_test(entries, run_key)
        if last is None and _tells_little(past):
            nights = nights_of(final, set(final), judges_own=False)
            return Look(run_key, nights, run_key, begins=True) if nights.enough else None
        maker = run_key if last is None else maker_of(last)
        used = {*judged_nights(entries), *self.made_on.get(maker, ())}
        nights = nights_of(final, used, judges_own=last is None)
        if not nights.enough or not nights.gate:
            return None
        if last is None:
            return Look(run_key, nights, run_key)
        left = max(gate().test_nights - len(last.gate_nights), 1)
        nights = Nights(nights.fit, nights.tune, nights.gate[:left])
        return Look(run_key, nights, maker, sorted(last.gate_nights))

    def keep(self, look: Look, challenger: Challenger) -> None:
        """A challenger that is to be judged."""
        version = len(self.policies) + 1
        policy = replace(challenger.policy, name=f"version {version}")  # type: ignore[type-var]
        self.policies[version], self.version[look.run_key] = policy, version
        self.made[look.run_key] = challenger
        self.made_on[look.run_key] = [*look.nights.fit, *look.nights.tune]

    def judge(self, look: Look, past: Past) -> Verdict:
        """Judge, record, and promote where the rule says so."""
        evidence, version = self._evidence(look, past), self.version[look.maker]
        verdict = judge_and_record(
            self.ledger, evidence, gate(), version=version, actor=ACTOR, at=look.run_key
        )
        if verdict.promote:
            self.accepted[version] = evidence.differences[gate().estimator]
            self.ledger.append(
                Entry(
                    kind="promoted",
                    run_key=look.run_key,
                    version=version,
                    actor=ACTOR,
                    at=look.run_key,
                    reason=verdict.reason,
                    evidence=evidence.fingerprint(),
                    champion_version=evidence.champion_version,
                    gate_nights=evidence.gate_nights,
                )
            )
        return verdict

    def _evidence(self, look: Look, past: Past) -> Evidence:
        of, champion, entries = settings(), self.champion, self.ledger.entries()
        star = north_star(of.objective_tuple).name
        about = Evidence(
            run_key=look.run_key,
            night=look.run_key.removesuffix(f"-{ACTOR}"),
            settings_fingerprint=of.fingerprint(),
            code_version="",
            champion_version=champion,
            north_star=star,
            guardrails={o.name: o.margin for o in of.objective_tuple if o.role == "guardrail"},
            candidate="" if look.maker == look.run_key else look.maker,
        )
        if look.begins:
            return replace(about, trial_begins="the log tells little of others")
        made, anchor = self.made[look.maker], anchor_version(entries)
        if anchor is None:
            raise ValueError("the ledger names no anchor: begin with a first champion")
        judged = [*look.tested, *look.nights.gate]
        log = past.on(judged)
        policies = {"challenger": made.policy, "champion": self.policies[champion]}
        scored = scored_log(log, {**policies, "anchor": self.policies[anchor]}, made.model)
        estimates = policy_estimates(
            log,
            {name: scored.probabilities[name] for name in policies},
            scored.q,
            None,
            gate().criteria(star),
            of.registry.least_users,
            anchor=None if anchor == champion else scored.probabilities["anchor"],
        )
        links = links_from_anchor(entries)
        estimates["anchor"] = compare_with_anchor(
            anchor,
            estimates.pop("anchor_differences", None),
            estimates["differences"][gate().estimator],
            None if links is None else [Link(e.version or 0, self._differences(e)) for e in links],
        )
        return replace(
            about,
            gate_nights=tuple(judged),
            rows=len(log),
            users=len(np.unique(log.decisions.user.astype(str))),
            **estimates,
        )

    def _differences(self, entry: Entry) -> Mapping[str, PolicyEstimate]:
        return self.accepted[entry.version or 0]


def _tells_little(past: Past) -> bool:
    """Whether the newest final night's log tells of others too little to look at it first."""
    if not past.final:
        return False
    logged = LoggedPropensities.of(past.on(past.final[-1:]))
    return too_little_told(logged, gate().trial_share) is not None
