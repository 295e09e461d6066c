"""Lines of the memo on what is beyond the gate nights: hindcast, the next night, power."""

from __future__ import annotations

from mrlm.evidence.evidence import Evidence
from mrlm.promotion.record.shortfall import rollback_command
from mrlm.report.figures_as_text import interval, number
from mrlm.report.visible import markdown

# The registry cuts a long memo; the page has them all.
_NEWEST = 5


def outlook_lines(evidence: Evidence) -> list[str]:
    """The next night's difference, and the rows that gains need."""
    found = evidence.outlook
    if found is None:
        return []
    lines = []
    if found.next_night is not None:
        night = found.next_night
        low, high = number(night.lower, signed=True), number(night.upper, signed=True)
        lines.append(
            f"next night: {number(night.value, signed=True)} [{low}, {high}] with the luck of "
            f"users and nights ({night.nights} nights)"
        )
    for p in found.power:
        if p.rows is not None:
            lines.append(
                f"to see a gain of {p.share:.0%} of the champion's: {p.rows} decisions "
                f"(here {evidence.rows})"
            )
    return lines


def hindcast_lines(evidence: Evidence) -> list[str]:
    """A line for each alarm and for the newest promotions, and the calibration."""
    found = evidence.hindcast
    if found is None:
        return []
    lines = []
    shown = [p for p in found.promotions[-_NEWEST:] if not p.alarm]
    for p in (*found.alarms, *shown):
        nights = "1 night" if len(p.nights) == 1 else f"{len(p.nights)} nights"
        told = (
            f"version {p.version}: promised {number(p.promised, signed=True)} or more, predicted "
            f"{interval(p.predicted, signed=True)}, realised {interval(p.realised, signed=True)} "
            f"on {nights}"
        )
        if p.alarm:
            told = f"**ALARM** {told}"
            if p.version == evidence.champion_version and not p.still_better:
                told += f"; `{rollback_command(p.version)}` goes back"
        lines.append(told)
    c = found.calibration
    if c is not None and c.covered is not None:
        lines.append(
            f"{c.covered:.0%} of {c.promotions} certified promotions agree with their prediction "
            f"(expected {c.level:.0%})"
        )
    return lines + [f"left out: {markdown(text)}" for text in found.left_out]
