"""The page on which a reviewer decides: one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Joined, Message
from mrlm.messages.translation import Language
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.record.shortfall import rollback_command
from mrlm.report.against_anchor import anchor_note, anchor_rows
from mrlm.report.canvas import ENDINGS
from mrlm.report.facts import NightFacts
from mrlm.report.figures_as_text import (
    floors_as_text,
    interval,
    number,
    scenes_as_text,
    step_as_text,
)
from mrlm.report.for_whom import all_group_rows, group_rows, who_is_worse_off
from mrlm.report.memo import decision_memo, headline
from mrlm.report.page import templates
from mrlm.report.plain_numbers import change_in_numbers, what_returns_count
from mrlm.report.plots import all_plots
from mrlm.report.simple_baselines import as_words, baselines_by_value

_NO_FACTS = NightFacts()
_SAID_ELSEWHERE = ("policy", "objective")
_WHAT_USERS_SEE = "what_users_see.html.j2"
_PLOTS = {
    "intervals": Message("Each policy's north star with its interval"),
    "differences": Message("Challenger against champion in every objective"),
    "weights": Message("Objective weights of the challenger"),
    "importance_weights": Message("Importance weights on the gate nights"),
    "calibration": Message("Calibration of the reward model on a later night"),
    "hindcast": Message("What each promotion promised, and what it brought since"),
    "drift": Message("The challenger's support over nights"),
    "propensities": Message("Logged propensities against the share that was shown"),
}


def render_review_page(
    evidence: Evidence,
    verdict: Verdict | None = None,
    facts: NightFacts = _NO_FACTS,
    estimator: str = "dr",
    language: Language = "en",
) -> str:
    """The review page as HTML; parts that the night has no data for are left out.

    Args:
        evidence: of the version.
        verdict: of the gate; None before it was asked.
        facts: whatever else is known of the night.
        estimator: whose intervals decide.
        language: of the page.
    """
    plots = all_plots(evidence, facts.truth, facts.calibration, estimator, language)
    return _page(evidence, verdict, facts, estimator, plots, language)


def write_review(
    folder: Path,
    evidence: Evidence,
    verdict: Verdict | None = None,
    facts: NightFacts = _NO_FACTS,
    estimator: str = "dr",
    language: Language = "en",
) -> str:
    """Write ``index.html``, ``memo.md`` and the plots into ``folder``; the memo is returned.

    The language is that of the page and its plots; the memo is a record, in English.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots = all_plots(evidence, facts.truth, facts.calibration, estimator, language)
    memo = decision_memo(evidence, verdict, facts, estimator)
    page = _page(evidence, verdict, facts, estimator, plots, language)
    (folder / "index.html").write_text(page, encoding="utf-8")
    (folder / "memo.md").write_text(memo, encoding="utf-8")
    for name, image in plots.items():
        (folder / f"{name}{ENDINGS[language]}").write_bytes(image)
    return memo


def _page(
    evidence: Evidence,
    verdict: Verdict | None,
    facts: NightFacts,
    estimator: str,
    plots: dict[str, bytes],
    language: Language,
) -> str:
    environment = templates(language)
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    environment.filters["rollback_command"] = rollback_command
    groups = group_rows(evidence, evidence.north_star)
    return environment.get_template("review_page.html.j2").render(
        evidence=evidence,
        fingerprint=evidence.fingerprint(),
        verdict=verdict,
        headline=headline(verdict, evidence),
        change=change_in_numbers(evidence, estimator, facts.yes_or_no, _unit(evidence, facts)),
        returns=what_returns_count(facts.discounts),
        groups=groups,
        all_groups=all_group_rows(evidence),
        untold=len(evidence.groups) - len(groups),
        worse_off=Joined("; ", who_is_worse_off(evidence)),
        level=_level(evidence, estimator),
        what_users_see=_WHAT_USERS_SEE,
        facts=facts,
        step=step_as_text(facts.limited_by),
        scenes=scenes_as_text(facts.scenes),
        floors=floors_as_text(facts.floors),
        links={t: a for t, a in facts.links.items() if _harmless(a)},
        estimator=estimator,
        values=_values(evidence, facts, estimator),
        differences=_differences(evidence, estimator),
        anchor_note=anchor_note(evidence),
        anchor_rows=anchor_rows(evidence),
        baselines=_baselines(evidence, facts, estimator),
        diagnostics=_diagnostics(evidence),
        categories=sorted({c for t in facts.rows.values() for c in t}, key=_category_order),
        figures=sorted({f for m in facts.reward_model.values() for f in m}),
        plots=[(name, _PLOTS[name], image) for name, image in plots.items()],
    )


def _unit(evidence: Evidence, facts: NightFacts) -> str:
    return facts.units.get(evidence.north_star, "")


def _level(evidence: Evidence, estimator: str) -> float:
    """Two-sided, of the intervals of all groups together: that of one interval of all rows."""
    found = evidence.difference(estimator, evidence.north_star)
    return 0.0 if found is None else found.level


def _values(evidence: Evidence, facts: NightFacts, estimator: str) -> list[dict[str, Any]]:
    """North star of every policy under every estimator, the deciding one first."""
    star, rows = evidence.north_star, []
    for policy, estimates in evidence.policies.items():
        for name in sorted(estimates, key=lambda n: (n != estimator, n)):
            e = estimates[name].get(star)
            if e is not None:
                rows.append(
                    {
                        "policy": policy,
                        "estimator": name,
                        "estimate": e,
                        "truth": facts.truth.get(policy),
                        "why": _why(e),
                    }
                )
    return rows


def _differences(evidence: Evidence, estimator: str) -> list[dict[str, Any]]:
    found = evidence.differences.get(estimator, {})
    order = sorted(found, key=lambda n: (n != evidence.north_star, n not in evidence.guardrails, n))
    return [
        {
            "objective": name,
            "role": "north star"
            if name == evidence.north_star
            else "guardrail"
            if name in evidence.guardrails
            else "",
            "challenger": evidence.estimate("challenger", estimator, name),
            "champion": evidence.estimate("champion", estimator, name),
            "difference": found[name],
            "logger": evidence.estimate("logger", estimator, name),
            "to_logger": evidence.logger_difference(estimator, name),
            "margin": evidence.guardrails.get(name),
            "why": _why(found[name]),
            "why_to_logger": _why_of(evidence.logger_difference(estimator, name)),
        }
        for name in order
    ]


def _baselines(evidence: Evidence, facts: NightFacts, estimator: str) -> list[dict[str, Any]]:
    """North star of every simple baseline and the challenger's difference to it, best first."""
    return [
        {
            "name": as_words(name),
            "value": evidence.estimate(name, estimator, evidence.north_star),
            "difference": evidence.baseline_difference(name),
            "truth": facts.truth.get(name),
            "why": _why_of(evidence.baseline_difference(name)),
        }
        for name in baselines_by_value(evidence, estimator)
    ]


def _diagnostics(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """Figure to policy to value, for the figures that are one number or one word.

    Whose figures they are, and in which objective, the columns and the page say.
    """
    table: dict[str, dict[str, Any]] = {}
    for policy, figures in evidence.diagnostics.items():
        for name, value in figures.items():
            if name in _SAID_ELSEWHERE:
                continue
            if isinstance(value, int | float | str) or value is None:
                table.setdefault(name, {})[policy] = value
    return table


def _why_of(estimate: PolicyEstimate | None) -> str:
    return "" if estimate is None else _why(estimate)


def _why(estimate: PolicyEstimate) -> str:
    if estimate.certified:
        return ""
    why = Joined("; ", estimate.reasons)
    if not estimate.rows_needed:
        return why
    return Message("{why}; about {rows} decisions needed", why=why, rows=estimate.rows_needed)


def _harmless(address: str) -> bool:
    return address.startswith(("https://", "http://")) or ":" not in address


def _category_order(category: str) -> tuple[int, str]:
    first = ("raw", "clean", "duplicate", "late")
    return (first.index(category) if category in first else len(first), category)
