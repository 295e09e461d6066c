"""What the challenger would change, in numbers that people count in."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mrlm.evidence.evidence import Evidence
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Message
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
    told = found.certified and not found.of_few_rows()
    if not told or found.lower is None or found.upper is None:
        return Message(
            "How much {north_star} would change cannot be told from this log yet.", north_star=star
        )
    counted = star in yes_or_no
    return Message(
        "{counted}: {ours} with the challenger, {theirs} with the champion, which is {change}.",
        counted=_counted(star, counted, unit),
        ours=_value(ours, counted),
        theirs=_value(theirs, counted),
        change=_change(found, counted),
    )


def what_returns_count(discounts: Mapping[str, float]) -> list[Message]:
    """A sentence for each objective that is a return, by its discount."""
    return [
        Message(
            "{objective} counts what follows in the session too: the rewards of each later "
            "request, discounted by {discount} once more.",
            objective=objective,
            discount=number(discount),
        )
        for objective, discount in discounts.items()
    ]


def _counted(star: str, counted: bool, unit: str) -> Message:
    if counted:
        return Message("{north_star} of {of} shown items", north_star=star, of=_OF)
    if unit:
        return Message("{north_star} a shown item in {unit}", north_star=star, unit=unit)
    return Message("{north_star} a shown item", north_star=star)


def _change(found: PolicyEstimate, counted: bool) -> Message:
    value, lower, upper = (x or 0.0 for x in (found.value, found.lower, found.upper))
    if lower <= 0.0 <= upper:
        return Message(
            "between {lower} and {upper}: no proven change",
            lower=_signed(lower, counted),
            upper=_signed(upper, counted),
        )
    least, most = sorted((abs(lower), abs(upper)))
    sizes = {
        "size": _figure(abs(value), counted),
        "least": _figure(least, counted),
        "most": _figure(most, counted),
    }
    if value > 0:
        return Message("{size} more (between {least} and {most})", **sizes)
    if counted:
        return Message("{size} fewer (between {least} and {most})", **sizes)
    return Message("{size} less (between {least} and {most})", **sizes)


def _value(estimate: PolicyEstimate | None, counted: bool) -> str:
    known = estimate is not None and estimate.value is not None
    if not (estimate and known):
        return Message("an unknown number")
    return _figure(estimate.value or 0.0, counted)


def _figure(x: float, counted: bool) -> str:
    return f"{_OF * x:.1f}" if counted else number(x)


def _signed(x: float, counted: bool) -> str:
    return f"{_OF * x:+.1f}" if counted else number(x, signed=True)
