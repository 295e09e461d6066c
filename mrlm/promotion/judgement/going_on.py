"""Whether a test that did not promote goes on with the next night."""

from __future__ import annotations

import math

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Message
from mrlm.promotion.judgement.condition import Check
from mrlm.promotion.judgement.group_harm import group_checks
from mrlm.promotion.judgement.levels import last_level, rise
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.settings import GateSettings

# Chance of passing below which a test ends before its time.
_HOPELESS = 0.1
# Checks that no further night of the same test would turn.
_WHATEVER_COMES = frozenset({"champion", "gate nights", "propensities", "hindcast"})


def goes_on(
    evidence: Evidence,
    settings: GateSettings,
    checks: list[Check],
    look: Look,
) -> bool:
    """Whether more nights may still show what this look did not, and harm nobody meanwhile.

    A test that is ended early promotes nobody, so the error of the gate stays what it is.

    Args:
        evidence: of all nights of the test so far.
        settings: the rule's.
        checks: of this look, at least one of which refuses.
        look: this one.
    """
    if look.nights >= settings.test_nights or not evidence.gate_nights:
        return False
    if not all(c.passed for c in checks if c.name in _WHATEVER_COMES):
        return False
    star = evidence.difference(settings.estimator, evidence.north_star)
    if star is None or star.value is None or star.value <= 0.0:
        return False
    last = last_level(settings.test_nights, settings.false_promotions, look.before)
    if _hopeless(star, _share_done(settings, look.nights, look.information), last):
        return False
    if _harms_on_trial(evidence, settings):
        return False
    guards = {n: evidence.difference(settings.estimator, n) for n in evidence.guardrails}
    return all(
        e is None or e.value is None or e.value >= -evidence.guardrails[n]
        for n, e in guards.items()
    )


def of_the_test(settings: GateSettings, nights: int, going: bool) -> Message:
    """Whether the test goes on, in words."""
    if going:
        return Message(
            "the test goes on with the next night: {nights} of {most} so far",
            nights=nights,
            most=settings.test_nights,
        )
    return Message("the test ends here: the next night brings another challenger")


def _hopeless(star: PolicyEstimate, done: float, last: float) -> bool:
    """Whether the rest of the test would hardly prove the north star: others make room sooner.

    Stochastic curtailment (Lan, Simon and Halperin, Sequential Analysis 1982) by Lan and Wittes'
    B-value (Biometrics 1988): the chance of passing the last look where the truth is a standard
    error above the estimate.

    Args:
        star: the north star's difference so far.
        done: share that is known of what the whole test will tell.
        last: one-sided level of the last look.
    """
    from scipy.special import ndtr, ndtri

    error, value = star.standard_error, star.value
    if not error or value is None:
        return False
    at_end = error * math.sqrt(done)
    needed = float(ndtri(1.0 - last))
    expected = value / error * math.sqrt(done) + (1.0 - done) * (value + error) / at_end
    return float(ndtr((expected - needed) / math.sqrt(1.0 - done))) < _HOPELESS


def _share_done(settings: GateSettings, nights: int, information: tuple[float, ...]) -> float:
    """Share that is known of what the whole test will tell.

    Nights tell alike, but for those of a trial: the ones to come tell as much as the newest.
    """
    if not (settings.trial_share and rise(information)):
        return nights / settings.test_nights
    now, before = information[-1], (0.0, *information)[-2]
    each = max(now / nights, now - before)
    return now / (now + (settings.test_nights - nights) * each)


def _harms_on_trial(evidence: Evidence, settings: GateSettings) -> bool:
    """Whether a trial would go on serving what is shown to harm a group, or to pass the anchor.

    A group's error is shared by the looks, so that a challenger which harms none seldom loses its
    test by a single one.
    """
    if not settings.trial_share:
        return False
    each = {"group_error": settings.group_error / settings.test_nights}
    groups = group_checks(evidence, settings.model_copy(update=each))
    if not all(c.passed or c.advice for c in groups):
        return True
    if settings.anchored != "enforce" or evidence.anchor is None:
        return False
    below = evidence.anchor.differences
    return any(
        e.certified and e.value is not None and e.value < -margin
        for name, margin in evidence.guardrails.items()
        if (e := below.get(name)) is not None
    )
