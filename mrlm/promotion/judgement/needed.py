"""What would change a refusal: how many decisions would show what these did not."""

from __future__ import annotations

import math

from mrlm.messages.message import Message

_POWER = 0.8


def rows_to_pass(rows: int, distance: float, standard_error: float, level: float) -> int | None:
    """Decisions in all at which a limit is passed with probability 80 %; None: it cannot be said.

    ``rows ((z_level + z_power) s / d)^2`` with d the distance to the limit less one standard error
    s: a refusal's estimate is often luck, and a count that takes it at its word is too small more
    often than not (``python -m benchmarks promotion.needed``).

    Args:
        rows: decisions of the estimate.
        distance: of the estimate above the limit, in the objective's unit.
        standard_error: of the estimate.
        level: one-sided, at which the limit has to be passed in the end.
    """
    from scipy.special import ndtri

    likely = distance - standard_error
    if not likely > 0 or not standard_error > 0:
        return None
    reach = float(ndtri(1 - level) + ndtri(_POWER))
    return max(rows, math.ceil(rows * (reach * standard_error / likely) ** 2))


def what_would_change(
    text: Message, rows: int, distance: float, standard_error: float, level: float, most: int
) -> Message:
    """A refusal with the same at its end; see ``rows_to_pass``.

    Args:
        text: the refusal.
        rows: see there, as the following three.
        distance: of the estimate above the limit.
        standard_error: of the estimate.
        level: at the end.
        most: decisions that the test is likely to have at its end.
    """
    if distance <= 0:
        return Message(
            "{refusal}; more decisions alone would not change this, for the estimate itself is "
            "beyond it",
            refusal=text,
        )
    needed = rows_to_pass(rows, distance, standard_error, level)
    if needed is None:
        return Message(
            "{refusal}; how many decisions would show it cannot be said yet", refusal=text
        )
    if needed > most:
        return Message(
            "{refusal}; about {needed} decisions in all, more than the {most} of a whole test, "
            "would show it with probability {power:.0%}, if the truth is no further than a "
            "standard error below the estimate",
            refusal=text,
            needed=needed,
            most=most,
            power=_POWER,
        )
    return Message(
        "{refusal}; about {needed} decisions in all would show it with probability {power:.0%}, "
        "if the truth is no further than a standard error below the estimate",
        refusal=text,
        needed=needed,
        power=_POWER,
    )


def rows_of_a_test(rows: int, nights: int, test_nights: int) -> int:
    """Decisions that a test is likely to have at its end, as many a night as so far."""
    return round(rows * test_nights / max(nights, 1))
