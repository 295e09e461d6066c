"""What must stand before a challenger is compared: champion, nights, propensities, promises."""

from __future__ import annotations

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.followed_promotions import Hindcast
from mrlm.messages.message import Joined, Message
from mrlm.promotion.judgement.condition import Check
from mrlm.promotion.record.ledger import Entry
from mrlm.promotion.record.shortfall import rollback_command
from mrlm.promotion.settings import GateSettings

# Name of the check for fresh nights to judge on.
GATE_NIGHTS = "gate nights"


def champion_check(evidence: Evidence) -> Check:
    """Whether there is a champion to compare with."""
    # Without gate nights nothing is known of any policy, and that is said by its own check.
    known = "champion" in evidence.policies or not evidence.gate_nights
    there = evidence.champion_version is not None and known
    text = (
        Message("compared with champion version {version}", version=evidence.champion_version)
        if there
        else Message(
            "there is no champion to compare with: install one (the clone of the logger) first"
        )
    )
    return Check("champion", there, text)


def rejection_check(word: Entry) -> Check:
    """A person's rejection of this challenger at an earlier look: it ends the test."""
    return Check(
        "person",
        False,
        Message(
            "{actor} rejected this challenger at an earlier look ({reason}): its test is over",
            actor=word.actor,
            reason=word.reason,
        ),
    )


def propensity_check(settings: GateSettings) -> Check:
    """Whether the settings accept propensities that are estimated."""
    allowed = settings.allow_estimated_propensities
    text = (
        Message(
            "the propensities of the gate nights are estimated, which "
            "gate.allow_estimated_propensities accepts"
        )
        if allowed
        else Message(
            "the propensities of the gate nights are estimated: what the logger saw and the log "
            "does not hold may have made the difference. Log propensities, or set "
            "gate.allow_estimated_propensities if nothing else was seen"
        )
    )
    return Check("propensities", allowed, text)


def promise_check(evidence: Evidence, found: Hindcast) -> Check:
    """Whether the champion keeps its own promise, by what followed it."""
    alarm = found.to_leave(evidence.champion_version)
    if alarm is None:
        told = Message("the champion has not fallen short of its promise")
        if found.alarm_of(evidence.champion_version) is not None:
            told = Message(
                "the champion fell short of its promise, and is better than what it replaced"
            )
        return Check("hindcast", True, told)
    return Check(
        "hindcast",
        False,
        Message(
            "the champion falls short: {alarm}. '{command}' goes back to the one before it, and "
            "the next night compares with that one",
            alarm=alarm.reason,
            command=rollback_command(alarm.version),
        ),
    )


def nights_check(evidence: Evidence, used: frozenset[str]) -> Check:
    """Whether there are gate nights, none of which another judgement has used."""
    nights = evidence.gate_nights
    if not nights:
        return Check(
            GATE_NIGHTS,
            False,
            Message(
                "no fresh gate night: every night whose north star is final was fitted on, tuned "
                "on or judged before; the next one that is final will be judged ('mrlm status' "
                "lists those that are not, and why)"
            ),
        )
    again = sorted(set(nights) & used)
    if again:
        return Check(
            GATE_NIGHTS,
            False,
            Message(
                "{nights} already judged under another run key: a night is judged once",
                nights=Joined(", ", again),
            ),
        )
    text = Message(
        "judged on {nights}, {rows} decisions", nights=Joined(", ", nights), rows=evidence.rows
    )
    return Check(GATE_NIGHTS, True, text)
