"""The promotion rule: what the paired evidence must show before a challenger may be promoted."""

from __future__ import annotations

from mrlm.evidence.evidence import Evidence
from mrlm.messages.message import Joined, Message
from mrlm.promotion.judgement.anchored import anchored_checks
from mrlm.promotion.judgement.condition import Check
from mrlm.promotion.judgement.difference_checks import difference_checks
from mrlm.promotion.judgement.going_on import goes_on, of_the_test
from mrlm.promotion.judgement.group_harm import group_checks
from mrlm.promotion.judgement.look import Look
from mrlm.promotion.judgement.narrow_champion import lacks_overlap
from mrlm.promotion.judgement.standing_checks import (
    GATE_NIGHTS,
    champion_check,
    nights_check,
    promise_check,
    propensity_check,
    rejection_check,
)
from mrlm.promotion.judgement.verdict import Verdict
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.settings import GateSettings

_FIRST = Look()
_NARROW = Message(
    "where this happens after every promotion, the champion chooses too narrowly for its log to "
    "tell of others: gate.trial_share lets a challenger choose a share while it is tested"
)


def judge(
    evidence: Evidence,
    settings: GateSettings,
    look: Look = _FIRST,
    used_nights: frozenset[str] = frozenset(),
    anchor: int | None = None,
    rejected: Entry | None = None,
) -> Verdict:
    """Apply the rule; a pure function of its arguments.

    The north star's paired difference, on all nights of the test so far, must be above zero at the
    one-sided level of this look (``look_level``). Every guardrail must be shown not to fall by more
    than its margin, each at its own level: an intersection-union test (Berger, Technometrics 1982),
    which needs no correction.

    Where the evidence holds the difference to the logger, the same is asked against the logger, at
    the same levels: one more part of the intersection-union test, so no correction either.

    While the watch holds that the champion fell short of its own promise, nobody is promoted: to be
    better than a champion that should be rolled back proves little, and the comparison to make is
    with the champion after the rollback. A refusal more cannot make a wrong promotion likelier. A
    rollback ends it, and so does a person's approval, which stands above the rule.

    Estimated propensities are refused unless the settings accept them.

    No group of users or places may be shown to be worse off (``group_checks``).

    A challenger that is the champion itself is not tested: there is nothing to show.

    A challenger whose trial begins before any night is judged (``Evidence.trial_begins``) is not
    promoted, and its test goes on, where all stands that must stand before a comparison.

    A challenger that passes all of this is held against the anchor (``anchored_checks``).

    Args:
        evidence: of all nights of the test so far.
        settings: the rule's.
        look: of the test.
        used_nights: gate nights that other judgements have used up.
        anchor: version of the anchor by the ledger; None: whatever the evidence names.
        rejected: a person's rejection of this challenger at an earlier look; None: there is none.

    Raises:
        ValueError: looks do not rise from 1 or more.
    """
    if evidence.stays:
        return _untested(evidence, settings)
    if evidence.trial_begins:
        return _before_its_first_look(evidence, settings, rejected)
    level = look.level(settings, settings.false_promotions)
    checks = _standing(evidence, settings, used_nights, rejected)
    if checks[0].passed and evidence.gate_nights:
        checks += difference_checks(evidence, settings, look)
        checks += group_checks(evidence, settings)
    anchored = anchored_checks(evidence, settings, look, anchor) if _holds(checks) else []
    checks += anchored
    promote = _holds(checks)
    going = not promote and goes_on(evidence, settings, checks, look)
    return Verdict(
        promote,
        _reason(evidence, settings, checks, look, promote, going),
        tuple(checks),
        len(look.sizes),
        level,
        "" if not anchored else "within" if all(c.passed for c in anchored) else "below",
        going,
    )


def _standing(
    evidence: Evidence, settings: GateSettings, used: frozenset[str], rejected: Entry | None
) -> list[Check]:
    """What must stand before anything is compared, the champion first."""
    checks = [champion_check(evidence), nights_check(evidence, used)]
    if evidence.propensities == "estimated":
        checks.append(propensity_check(settings))
    if evidence.hindcast is not None and settings.watch != "off":
        checks.append(promise_check(evidence, evidence.hindcast))
    if rejected is not None:
        checks.append(rejection_check(rejected))
    return checks


def _holds(checks: list[Check]) -> bool:
    return all(c.passed or c.advice for c in checks)


def _reason(
    evidence: Evidence,
    settings: GateSettings,
    checks: list[Check],
    look: Look,
    promote: bool,
    going: bool,
) -> Joined:
    """Of a promotion what was shown; of a refusal what failed, and whether the test goes on."""
    telling = [c.text for c in checks if not c.passed or (promote and _is_outcome(c))]
    if not promote:
        telling += evidence.warnings
        if lacks_overlap(evidence, settings) and not settings.trial_share:
            telling.append(_NARROW)
        if checks[0].passed and evidence.gate_nights and settings.test_nights > 1:
            telling.append(of_the_test(settings, look.nights, going))
    return Joined("; ", telling)


def _untested(evidence: Evidence, settings: GateSettings) -> Verdict:
    """Nothing is tested; that the champion falls short of its promise is told all the same."""
    same = Message(
        "nothing was tested, for tonight's challenger is the champion itself ({why}); its nights "
        "stay fresh for the next one",
        why=evidence.stays,
    )
    checks = [Check("challenger", False, same)]
    if evidence.hindcast is not None and settings.watch != "off":
        checks.append(promise_check(evidence, evidence.hindcast))
    telling = [c.text for c in checks if not c.passed]
    return Verdict(False, Joined("; ", [*telling, *evidence.warnings]), tuple(checks))


def _before_its_first_look(
    evidence: Evidence, settings: GateSettings, rejected: Entry | None
) -> Verdict:
    """Nobody is promoted; the test goes on unless something stands against any promotion."""
    standing = _standing(evidence, settings, frozenset(), rejected)
    checks = [c for c in standing if c.name != GATE_NIGHTS]
    going = _holds(checks)
    if going:
        begins = Message(
            "its trial begins, and no night is judged yet: {why}", why=evidence.trial_begins
        )
        checks.append(Check(GATE_NIGHTS, False, begins))
    reason = Joined("; ", [*(c.text for c in checks if not c.passed), *evidence.warnings])
    return Verdict(False, reason, tuple(checks), goes_on=going)


def _is_outcome(check: Check) -> bool:
    return check.name.startswith(("north star", "guardrail ", "anchor"))
