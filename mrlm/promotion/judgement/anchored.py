"""The anchored limits: what a challenger must keep to below a fixed version, and what it spends."""

from __future__ import annotations

from mrlm.evidence.anchor_comparison import AnchorComparison
from mrlm.evidence.evidence import Evidence
from mrlm.messages.message import Joined, Message
from mrlm.promotion.judgement.condition import (
    Check,
    as_advice,
    bound_in_words,
    certified,
    lower_bound,
)
from mrlm.promotion.judgement.levels import last_level
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.needed import rows_of_a_test, what_would_change
from mrlm.promotion.settings import GateSettings

# Nights that the anchored limits hold for.
_YEAR = 365
_REMEDY = Message(
    "The next night asks again; or a person who accepts the anchor's loss moves it with "
    "'mrlm anchor set VERSION', or approves this version"
)


def anchored_checks(
    evidence: Evidence, settings: GateSettings, look: Look, anchor: int | None
) -> list[Check]:
    """One check an anchored limit: a guardrail's margin, and 0 in the north star.

    Margins against the champion alone let a chain of promotions lose one each time. Against the
    anchor the lower bound must stay above minus the margin at the level of this look, which is its
    part of its test's share of the error that ``guardrail_level`` leaves for 365 nights
    (``look_level``): every look has its share, whether it comes to be asked or not, for what else
    refuses a challenger may read the same numbers. Each limit has its own level, as parts of an
    intersection-union test.

    Args:
        evidence: of a challenger that nothing else refuses.
        settings: the rule's.
        look: of the test.
        anchor: by the ledger; None: whatever the evidence names.
    """
    found = evidence.anchor
    if settings.anchored == "off" or found is None:
        return []
    if anchor is not None and found.version != anchor:
        text = Message(
            "the evidence is anchored to version {version}, and the anchor is version {anchor} "
            "now: the next night compares with that one",
            version=found.version,
            anchor=anchor,
        )
        checks = [Check("anchor", False, text)]
    else:
        checks = [
            _limit(evidence, found, name, margin, settings, look)
            for name, margin in evidence.limits.items()
        ]
    if settings.anchored == "advise":
        return [as_advice(check, "gate.anchored") for check in checks]
    return checks


def spent_shares(evidence: Evidence) -> dict[str, float]:
    """Guardrail to the fall below the anchor as estimated, over the margin; 0 where none."""
    found = {} if evidence.anchor is None else evidence.anchor.differences
    return {
        name: _fall(estimate.value, margin)
        for name, margin in evidence.guardrails.items()
        if (estimate := found.get(name)) is not None and estimate.value is not None
    }


def spent_on_trial(evidence: Evidence, settings: GateSettings, nights: int) -> dict[str, float]:
    """Guardrail to the share of its margin that the trial of a test has used up so far.

    The trial's share of what is served, times its nights' share of the 365 that the limits hold
    for, times the challenger's fall below the champion over the margin. A fall that is not
    certified is not counted: on few effective rows it may be any number.

    Args:
        evidence: of the newest look.
        settings: the rule's; without a trial nothing is used up.
        nights: of the test since its trial began.
    """
    part = settings.trial_share * nights / _YEAR
    return {
        name: part * _fall(estimate.value, margin)
        for name, margin in evidence.guardrails.items()
        if part > 0
        and (estimate := evidence.difference(settings.estimator, name)) is not None
        and estimate.certified
        and estimate.value is not None
    }


def _fall(value: float, margin: float) -> float:
    """A difference below 0 over the margin; all of a margin of 0 is spent by any."""
    fall = max(0.0, -value)
    return fall / margin if margin > 0 else float(fall > 0)


def gained_guardrails(evidence: Evidence, settings: GateSettings) -> frozenset[str]:
    """Guardrails in which the challenger is proven better than the champion."""
    gained = set()
    for name in evidence.guardrails:
        estimate = evidence.difference(settings.estimator, name)
        if estimate is not None and certified(name, estimate).passed:
            bound = lower_bound(estimate, 1.0 - settings.guardrail_level)
            gained |= {name} if bound > 0 else set()
    return frozenset(gained)


def _limit(
    evidence: Evidence,
    found: AnchorComparison,
    name: str,
    margin: float,
    settings: GateSettings,
    look: Look,
) -> Check:
    total = 1.0 - settings.guardrail_level
    error = look.level(settings, total)
    own, estimate = f"anchor: {name}", found.differences.get(name)
    what = Message(
        "difference to anchor version {version} in {objective}",
        version=found.version,
        objective=name,
    )
    sure = certified(what, estimate)
    if estimate is None or not sure.passed:
        told = sure.text
        if found.unmeasured:
            told = Message("{text} ({why})", text=told, why=found.unmeasured)
        return Check(own, False, Message("{text}. {remedy}", text=told, remedy=_REMEDY))
    passed = lower_bound(estimate, error) >= -margin
    accepted = Message("the accepted {margin:+.5f}", margin=-margin) if margin else "0"
    numbers = Message(
        "{objective}: challenger - anchor version {version} = {value:+.5f} {measured} with "
        "{bound} at one-sided level {level:.3g}",
        objective=name,
        version=found.version,
        value=estimate.value,
        measured=_measured(found, name),
        bound=bound_in_words(estimate, error),
        level=error,
    )
    if passed:
        text = Message("{numbers}, not below {accepted}", numbers=numbers, accepted=accepted)
    else:
        text = Message("{numbers}, below {accepted}", numbers=numbers, accepted=accepted)
    if not passed:
        distance = (estimate.value or 0.0) + estimate.unknown_low + margin
        last = last_level(settings.test_nights, total, look.before)
        most = rows_of_a_test(evidence.rows, len(evidence.gate_nights), settings.test_nights)
        own_error = estimate.standard_error or 0.0
        text = what_would_change(text, evidence.rows, distance, own_error, last, most)
        text = Message("{text}. {remedy}", text=text, remedy=_REMEDY)
    return Check(own, passed, text)


def _measured(found: AnchorComparison, name: str) -> Message:
    if name not in found.summed:
        return Message("on the same rows")
    return Message(
        "as the sum of the promotions of {links} and tonight's difference",
        links=Joined(", ", map(str, found.links)),
    )
