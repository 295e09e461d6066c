"""Harm that a gain in the mean hides: groups of users or places that would be worse off."""

from __future__ import annotations

from collections.abc import Iterator

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.groups import GroupDifference
from mrlm.messages.message import Joined, Message
from mrlm.promotion.judgement.condition import Check, as_advice, upper_bound
from mrlm.promotion.settings import GateSettings


def group_checks(evidence: Evidence, settings: GateSettings) -> list[Check]:
    """One check: that no group is shown to be worse off, in the north star or in a guardrail.

    A group is worse off where the upper bound of its difference lies below 0, or in a guardrail
    below minus the margin. In each objective the groups share ``group_error`` (Bonferroni), which
    bounds the chance that a challenger is refused for an objective in which no group is harmed.
    What is not certified in a group is not tested: where few users are, harm may stay hidden.

    Args:
        evidence: of a challenger; without groups there is nothing to check.
        settings: the rule's.
    """
    if settings.groups == "off" or not evidence.groups:
        return []
    harmed = [
        told
        for name, margin in evidence.limits.items()
        for told in _worse_off(evidence.groups, name, margin, settings.group_error)
    ]
    text = Message("none of {groups} groups is shown to be worse off", groups=len(evidence.groups))
    if harmed:
        text = Message(
            "worse off: {harmed}. A person who accepts that may approve this version; to keep a "
            "group as it is, serve it the champion",
            harmed=Joined("; ", harmed),
        )
    check = Check("groups", not harmed, text)
    return [as_advice(check, "gate.groups") if settings.groups == "advise" else check]


def _worse_off(
    groups: tuple[GroupDifference, ...], objective: str, margin: float, total: float
) -> Iterator[Message]:
    """The groups that are shown to fall by more than the margin, in words."""
    found = [(g, g.differences[objective]) for g in groups if objective in g.differences]
    tested = [(g, e) for g, e in found if e.certified and e.value is not None]
    for group, estimate in tested:
        upper = upper_bound(estimate, total / len(tested))
        if upper < -margin:
            told = Message(
                "{objective} of {group} by {value:+.5f}, at most {upper:+.5f}",
                objective=objective,
                group=group.in_words,
                value=estimate.value,
                upper=upper,
            )
            yield (
                Message("{harm}, below the accepted {margin:+.5f}", harm=told, margin=-margin)
                if margin
                else told
            )
