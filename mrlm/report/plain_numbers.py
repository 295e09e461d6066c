"""What the challenger would change, in numbers that people count in."""

from __future__ import annotations

from collections.abc import Collection

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.report.figures_as_text import number

_OF = 100


def change_in_numbers(
    evidence: Evidence, estimator: str, yes_or_no: Collection[str], unit: str = ""
) -> str:
    """The north star under challenger and champion, and the difference, in one sentence.

    A north star that happens or does not is counted in a hundred shown items. "" without a
    comparison.

    Args:
        evidence: of the version.
        estimator: whose numbers are told.
        yes_or_no: objectives whose reward is 0 or 1.
        unit: of the north star.
    """
    star = evidence.north_star
    found = evidence.difference(estimator, star)
    ours = evidence.estimate("challenger", estimator, star)
    theirs = evidence.estimate("champion", estimator, star)
    if found is None or found.value is None:
        return ""
    if not found.certified or found.lower is None or found.upper is None:
        return f"How much {star} would change cannot be told from this log yet."
    counted = star in yes_or_no
    told = f"{star} of {_OF} shown items" if counted else f"{star} a shown item"
    told += f" in {unit}" * bool(unit and not counted)
    values = f"{_value(ours, counted)} with the challenger, {_value(theirs, counted)} with the "
    return f"{told}: {values}champion, which is {_change(found, counted)}."


def _change(found: PolicyEstimate, counted: bool) -> str:
    value, lower, upper = (x or 0.0 for x in (found.value, found.lower, found.upper))
    if lower <= 0.0 <= upper:
        return f"between {_signed(lower, counted)} and {_signed(upper, counted)}: no proven change"
    word = "more" if value > 0 else "fewer" if counted else "less"
    ends = sorted((abs(lower), abs(upper)))
    return (
        f"{_figure(abs(value), counted)} {word} (between {_figure(ends[0], counted)} and "
        f"{_figure(ends[1], counted)})"
    )


def _value(estimate: PolicyEstimate | None, counted: bool) -> str:
    known = estimate is not None and estimate.value is not None
    return _figure(estimate.value or 0.0, counted) if estimate and known else "an unknown number"


def _figure(x: float, counted: bool) -> str:
    return f"{_OF * x:.1f}" if counted else number(x)


def _signed(x: float, counted: bool) -> str:
    return f"{_OF * x:+.1f}" if counted else number(x, signed=True)
