"""What the paired differences must show: a gain in the north star, and no guardrail fallen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Message
from mrlm.promotion.judgement.condition import Check, bound_in_words, certified, lower_bound
from mrlm.promotion.judgement.levels import last_level
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.needed import rows_of_a_test, what_would_change
from mrlm.promotion.settings import GateSettings

Rival = Literal["champion", "logger"]
_RIVALS = {"champion": Message("champion"), "logger": Message("logger")}


def difference_checks(evidence: Evidence, settings: GateSettings, look: Look) -> list[Check]:
    """What the challenger must show against the champion, and against whoever made the gate nights.

    A champion may be worse than the policy that serves: a clone that misses its logger, or a
    version that never was put to work. To be better than it would then be no gain.

    Args:
        evidence: with a champion and gate nights; without differences to the logger none is asked.
        settings: the rule's.
        look: of the test.
    """
    name = evidence.north_star
    own = evidence.estimate("challenger", settings.estimator, name)
    checks = [certified(Message("challenger's {name}", name=name), own)]
    found = evidence.differences.get(settings.estimator, {})
    checks += _against(evidence, settings, look, found, "champion")
    logger = evidence.logger_differences.get(settings.estimator)
    return checks + (_against(evidence, settings, look, logger, "logger") if logger else [])


def _against(
    evidence: Evidence,
    settings: GateSettings,
    look: Look,
    found: Mapping[str, PolicyEstimate],
    rival: Rival,
) -> list[Check]:
    """The north star above 0, where its interval may be believed, and every guardrail's limit."""
    star = found.get(evidence.north_star)
    checks = [certified(_difference_in(evidence.north_star, rival), star)]
    if checks[0].passed and star is not None:
        checks.append(_north_star(evidence, settings, star, look, rival))
    for name, margin in sorted(evidence.guardrails.items()):
        checks.append(_guardrail(evidence, settings, name, margin, found.get(name), rival))
    return checks


def _north_star(
    evidence: Evidence,
    settings: GateSettings,
    star: PolicyEstimate,
    look: Look,
    rival: Rival,
) -> Check:
    alpha = look.level(settings, settings.false_promotions)
    passed = lower_bound(star, alpha) > 0.0
    value, error = star.value or 0.0, star.standard_error or 0.0
    numbers = Message(
        "{objective}: challenger - {rival} = {value:+.5f} with {bound} at one-sided level "
        "{level:.3g} ({look})",
        objective=evidence.north_star,
        rival=_RIVALS[rival],
        value=value,
        bound=bound_in_words(star, alpha),
        level=alpha,
        look=look.in_words(settings),
    )
    if passed:
        text = Message("{numbers}, above 0", numbers=numbers)
    else:
        text = Message("{numbers}, not above 0", numbers=numbers)
        distance = value + star.unknown_low
        last = last_level(settings.test_nights, settings.false_promotions, look.before)
        most = rows_of_a_test(evidence.rows, len(evidence.gate_nights), settings.test_nights)
        text = what_would_change(text, evidence.rows, distance, error, last, most)
    return Check(_named("north star", rival), passed, text)


def _guardrail(
    evidence: Evidence,
    settings: GateSettings,
    name: str,
    margin: float,
    estimate: PolicyEstimate | None,
    rival: Rival,
) -> Check:
    own = _named(f"guardrail {name}", rival)
    sure = certified(_difference_in(name, "champion"), estimate)
    if estimate is None or not sure.passed:
        return Check(own, False, _uncertified(name, rival, sure.text))
    level = settings.guardrail_level
    passed = lower_bound(estimate, 1.0 - level) >= -margin
    numbers = Message(
        "guardrail {objective}: challenger - {rival} = {value:+.5f} with {bound} at {level:.0%}",
        objective=name,
        rival=_RIVALS[rival],
        value=estimate.value,
        bound=bound_in_words(estimate, 1.0 - level),
        level=level,
    )
    if passed:
        text = Message(
            "{numbers}, not below the accepted {margin:+.5f}", numbers=numbers, margin=-margin
        )
    else:
        text = Message(
            "{numbers}, below the accepted {margin:+.5f}", numbers=numbers, margin=-margin
        )
    if not passed:
        distance = (estimate.value or 0.0) + estimate.unknown_low + margin
        error = estimate.standard_error or 0.0
        most = rows_of_a_test(evidence.rows, len(evidence.gate_nights), settings.test_nights)
        text = what_would_change(text, evidence.rows, distance, error, 1.0 - level, most)
    return Check(own, passed, text)


def _difference_in(objective: str, rival: Rival) -> Message:
    if rival == "champion":
        return Message("difference in {objective}", objective=objective)
    return Message("difference to the logger in {objective}", objective=objective)


def _uncertified(objective: str, rival: Rival, why: str) -> Message:
    if rival == "champion":
        return Message("guardrail {objective}: {why}", objective=objective, why=why)
    return Message("guardrail {objective} against the logger: {why}", objective=objective, why=why)


def _named(check: str, rival: Rival) -> str:
    return check if rival == "champion" else f"{check} against the {rival}"
