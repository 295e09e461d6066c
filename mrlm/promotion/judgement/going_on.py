"""Whether a test that did not promote goes on with the next night."""

from __future__ import annotations

import math

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.log_breadth import TELLING
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Message
from mrlm.promotion.judgement.condition import Check
from mrlm.promotion.judgement.group_harm import group_checks
from mrlm.promotion.judgement.levels import last_level
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.standing_checks import GATE_NIGHTS
from mrlm.promotion.settings import GateSettings

# Chance of passing below which a test ends before its time.
_HOPELESS = 0.1
# Checks that no further night of the same test would turn.
_WHATEVER_COMES = frozenset({"champion", GATE_NIGHTS, "propensities", "hindcast"})


def goes_on(
    evidence: Evidence,
    settings: GateSettings,
    checks: list[Check],
    look: Look,
) -> bool:
    """Whether more nights may still show what this look did not, and harm nobody meanwhile.

    A test that is ended early promotes nobody, so the error of the gate stays what it is. The sign
    of an estimate ends it: but before a trial the champion's log may tell so little that the sign
    is a coin's. So it does not until the nights have told what a quarter of an ordinary night
    would. Until then a test ends where it looks hopeless, for a guardrail as for the north star.

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
    found = {n: evidence.difference(settings.estimator, n) for n in evidence.limits}
    star = found[evidence.north_star]
    if star is None or star.value is None:
        return False
    done = _share_done(evidence, settings, look.nights)
    last = last_level(settings.test_nights, settings.false_promotions, look.before)
    if _hopeless(star, 0.0, done, last) or _harms_on_trial(evidence, settings):
        return False
    if done < TELLING / settings.test_nights:
        least = 1.0 - settings.guardrail_level
        return not any(
            _hopeless(e, margin, done, least)
            for n, margin in evidence.guardrails.items()
            if (e := found[n]) is not None
        )
    return star.value > 0.0 and all(
        e is None or e.value is None or e.value >= -evidence.limits[n] for n, e in found.items()
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


def _hopeless(estimate: PolicyEstimate, margin: float, done: float, last: float) -> bool:
    """Whether the rest of the test would hardly prove a limit: others make room sooner.

    Stochastic curtailment (Lan, Simon and Halperin, Sequential Analysis 1982) by Lan and Wittes'
    B-value (Biometrics 1988): the chance of passing the last look where the truth is a standard
    error above the estimate.

    Args:
        estimate: of the difference so far.
        margin: largest fall that is accepted; 0: the difference has to be above 0.
        done: share that is known of what the whole test will tell.
        last: one-sided level of the last look.
    """
    from scipy.special import ndtr, ndtri

    error, value = estimate.standard_error, estimate.value
    # All that will be known may be known before the last look.
    if not error or value is None or done >= 1.0:
        return False
    distance = value + margin
    at_end = error * math.sqrt(done)
    needed = float(ndtri(1.0 - last))
    expected = distance / error * math.sqrt(done) + (1.0 - done) * (distance + error) / at_end
    return float(ndtr((expected - needed) / math.sqrt(1.0 - done))) < _HOPELESS


def _share_done(evidence: Evidence, settings: GateSettings, nights: int) -> float:
    """Share that is known of what the whole test will tell.

    Nights tell alike, but for those of a trial, of which the evidence says what each would.
    """
    if not evidence.trial_night:
        return nights / settings.test_nights
    return 1.0 / (1.0 + (settings.test_nights - nights) * evidence.trial_night)


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
