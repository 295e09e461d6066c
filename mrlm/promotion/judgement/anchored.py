"""The anchored limits: what a challenger must keep to below a fixed version, and what it spends."""

from __future__ import annotations

from mrlm.evidence.anchor_comparison import AnchorComparison
from mrlm.evidence.evidence import Evidence
from mrlm.promotion.judgement.condition import Check, as_advice, certified, lower_bound
from mrlm.promotion.judgement.levels import last_level
from mrlm.promotion.judgement.needed import rows_of_a_test, what_would_change
from mrlm.promotion.settings import GateSettings

_REMEDY = (
    "The next night asks again; or a person who accepts the anchor's loss moves it with "
    "'mrlm anchor set VERSION', or approves this version"
)


def anchored_checks(
    evidence: Evidence, settings: GateSettings, error: float, anchor: int | None
) -> list[Check]:
    """One check an anchored limit: a guardrail's margin, and 0 in the north star.

    Margins against the champion alone let a chain of promotions lose one each time. Against the
    anchor the lower bound must stay above minus the margin at the level of this look, which is its
    test's share of the error that ``guardrail_level`` leaves for 365 nights (``look_level``): every
    look has its share, whether it comes to be asked or not, for what else refuses a challenger may
    read the same numbers. Each limit has its own level, as parts of an intersection-union test.

    Args:
        evidence: of a challenger that nothing else refuses.
        settings: the rule's.
        error: one-sided level of this look.
        anchor: by the ledger; None: whatever the evidence names.
    """
    found = evidence.anchor
    if settings.anchored == "off" or found is None:
        return []
    if anchor is not None and found.version != anchor:
        text = (
            f"the evidence is anchored to version {found.version}, and the anchor is version "
            f"{anchor} now: the next night compares with that one"
        )
        checks = [Check("anchor", False, text)]
    else:
        checks = [
            _limit(evidence, found, name, margin, error, settings)
            for name, margin in evidence.limits.items()
        ]
    if settings.anchored == "advise":
        return [as_advice(check, "gate.anchored") for check in checks]
    return checks


def spent_shares(evidence: Evidence) -> dict[str, float]:
    """Guardrail to the fall below the anchor as estimated, over the margin; 0 where none."""
    found = evidence.anchor
    shares = {}
    for name, margin in evidence.guardrails.items():
        estimate = None if found is None else found.differences.get(name)
        if estimate is not None and estimate.value is not None:
            fall = max(0.0, -estimate.value)
            shares[name] = fall / margin if margin > 0 else float(fall > 0)
    return shares


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
    error: float,
    settings: GateSettings,
) -> Check:
    own, estimate = f"anchor: {name}", found.differences.get(name)
    sure = certified(f"difference to anchor version {found.version} in {name}", estimate)
    if estimate is None or not sure.passed:
        why = f" ({found.unmeasured})" if found.unmeasured else ""
        return Check(own, False, f"{sure.text}{why}. {_REMEDY}")
    bound = lower_bound(estimate, error)
    passed = bound >= -margin
    accepted = f"the accepted {-margin:+.5f}" if margin else "0"
    text = (
        f"{name}: challenger - anchor version {found.version} = {estimate.value:+.5f} "
        f"{_measured(found, name)} with lower bound {bound:+.5f} at one-sided level {error:.3g}, "
        f"{'not ' if passed else ''}below {accepted}"
    )
    if not passed:
        distance = (estimate.value or 0.0) + estimate.unknown_low + margin
        last = last_level(settings.test_nights, 1.0 - settings.guardrail_level)
        most = rows_of_a_test(evidence.rows, len(evidence.gate_nights), settings.test_nights)
        own_error = estimate.standard_error or 0.0
        text += what_would_change(evidence.rows, distance, own_error, last, most)
        text += f". {_REMEDY}"
    return Check(own, passed, text)


def _measured(found: AnchorComparison, name: str) -> str:
    if name not in found.summed:
        return "on the same rows"
    links = ", ".join(map(str, found.links))
    return f"as the sum of the promotions of {links} and tonight's difference"
