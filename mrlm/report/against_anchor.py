"""The challenger against the anchor, for memo and page."""

from __future__ import annotations

from typing import Any

from mrlm.evidence.evidence import Evidence
from mrlm.messages.message import Message
from mrlm.report.figures_as_text import interval, number


def anchor_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Objective, challenger - anchor, accepted fall and how it was measured; the north star first.

    Nothing where the champion is the anchor, for the table of the champion says the same.
    """
    found = evidence.anchor
    if found is None or found.version == evidence.champion_version:
        return []
    return [
        {
            "objective": name,
            "difference": found.differences.get(name),
            "margin": evidence.guardrails.get(name, 0.0),
            "measured": Message("sum of the promotions since")
            if name in found.summed
            else Message("the same rows"),
        }
        for name in [evidence.north_star, *sorted(evidence.guardrails)]
    ]


def anchor_note(evidence: Evidence) -> str:
    """What the anchor is, in a sentence, and why it was not measured; "" where there is none."""
    found = evidence.anchor
    if found is None:
        return ""
    told = Message(
        "The anchor is version {version}: no chain of promotions may fall below it by more than "
        "the margins.",
        version=found.version,
    )
    if found.version == evidence.champion_version:
        return Message("{anchor} It is the champion.", anchor=told)
    if found.unmeasured:
        return Message(
            "{anchor} Not measured on these rows: {why}.", anchor=told, why=found.unmeasured
        )
    return told


def anchor_lines(evidence: Evidence) -> list[str]:
    """The same as lines of a memo."""
    rows = [
        f"{row['objective']}: challenger - anchor {interval(row['difference'], signed=True)}, "
        f"accepted fall {number(row['margin'])}, by {row['measured']}"
        for row in anchor_rows(evidence)
    ]
    note = anchor_note(evidence)
    return [note, *rows] if note else []
