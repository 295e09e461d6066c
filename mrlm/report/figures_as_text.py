"""Numbers as a reviewer reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrlm.bandit_log.segment_labels import segment_in_words
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Joined, Message, Name

NONE = "–"
_DUST = 1e-9


def number(x: object, *, signed: bool = False) -> str:
    """Four significant digits; a dash for what is missing."""
    if isinstance(x, bool):
        return Name("yes" if x else "no")
    if not isinstance(x, int | float):
        # A sentence stays one, for it has to be told in other languages.
        return NONE if x is None else x if isinstance(x, str) else str(x)
    if isinstance(x, int):
        return f"{x:+d}" if signed else f"{x:d}"
    return f"{x:+.4g}" if signed else f"{x:.4g}"


def weights_as_text(weights: Mapping[str, float]) -> str:
    """Names with their weights, which sum to 1, by name; 0 for what a solver leaves of 0."""
    return ", ".join(f"{name} {number(w)}" for name, w in sorted(without_dust(weights).items()))


def without_dust(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights on the simplex as they are told: 0 for what a solver leaves of 0."""
    return {name: w if w >= _DUST else 0.0 for name, w in weights.items()}


def step_as_text(limited_by: Sequence[str] | None) -> str:
    """What held the step from the champion back, in a sentence; "" where it is not known."""
    if limited_by is None:
        return ""
    if not limited_by:
        return Message(
            "The evidence alone limited the step: no larger lift is proven further away."
        )
    return Message("The step was limited by {limits}.", limits=Joined(" and ", limited_by))


def scenes_as_text(scenes: Sequence[str]) -> str:
    """Which scenes, or users, have weights of their own beside those that are told; "" for none."""
    if not scenes:
        return ""
    return Message(
        "With weights of their own: {scenes}; those told here are of all others.",
        scenes=Joined(", ", [segment_in_words(name) for name in scenes]),
    )


def interval(estimate: PolicyEstimate | None, *, signed: bool = False) -> str:
    """Value and interval; where it is not certified, why there is none."""
    if estimate is None or estimate.value is None:
        return NONE
    value = number(estimate.value, signed=signed)
    if not estimate.certified:
        return Message("{value} (no interval: not certified)", value=value)
    if estimate.of_few_rows():
        return Message("{value} (no interval: too few effective rows to say)", value=value)
    lower, upper = (number(b, signed=signed) for b in (estimate.lower, estimate.upper))
    return f"{value} [{lower}, {upper}]"


def floors_as_text(floors: Mapping[str, Mapping[str, float]]) -> str:
    """Floors of who is shown, asked for and on the tune nights, in a sentence; "" for none.

    Args:
        floors: name to ``least``, ``champion`` and ``chosen``.
    """
    if not floors:
        return ""
    return Message(
        "Who is shown, on the tune nights: {floors}.",
        floors=Joined(
            "; ",
            [
                Message(
                    "{name} {chosen:.4g} of {least:.4g} asked for, the champion {champion:.4g}",
                    name=Name(name),
                    chosen=floor["chosen"],
                    least=floor["least"],
                    champion=floor["champion"],
                )
                for name, floor in sorted(floors.items())
            ],
        ),
    )
