"""What the promotion rule is made of: one condition, with the numbers in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.messages.message import Joined, Message
from mrlm.ope.intervals import ends


@dataclass(frozen=True)
class Check:
    """One condition of the rule: its name, whether it holds, and the numbers in words.

    ``advice``: it is told, and refuses nothing.
    """

    name: str
    passed: bool
    text: str
    advice: bool = False


def certified(what: str, estimate: PolicyEstimate | None) -> Check:
    """Whether the interval of an estimate, named in words, may be believed."""
    name = f"certified: {what}"
    if estimate is None:
        return Check(
            name, False, Message("the evidence holds no estimate of the {what}", what=what)
        )
    if estimate.certified and _has_bound(estimate):
        return Check(name, True, Message("the interval of the {what} is certified", what=what))
    why = Joined("; ", estimate.reasons) or Message("the numbers are missing")
    if not estimate.rows_needed:
        text = Message("the {what} is not certified: {why}", what=what, why=why)
    else:
        text = Message(
            "the {what} is not certified: {why}; about {rows} decisions would be needed",
            what=what,
            why=why,
            rows=estimate.rows_needed,
        )
    return Check(name, False, text)


def lower_bound(estimate: PolicyEstimate, alpha: float) -> float:
    """One-sided lower bound at level alpha; rewards that are unknown count at their worst.

    Raises:
        ValueError: the estimate has no value, standard error or degrees of freedom.
    """
    df, error, value = estimate.degrees_of_freedom, estimate.standard_error, estimate.value
    if df is None or error is None or value is None:
        raise ValueError("an estimate without value, standard error or degrees of freedom")
    return ends(value, error, df, estimate.skewness, 1.0 - alpha)[0] + estimate.unknown_low


def bound_in_words(estimate: PolicyEstimate, alpha: float) -> Message:
    """The lower bound at level alpha; or that too few effective rows stand behind one to tell it.

    Raises:
        ValueError: see ``lower_bound``.
    """
    bound = lower_bound(estimate, alpha)
    if estimate.of_few_rows(1.0 - alpha):
        return Message("too few effective rows for a lower bound")
    return Message("lower bound {bound:+.5f}", bound=bound)


def upper_bound(estimate: PolicyEstimate, alpha: float) -> float:
    """One-sided upper bound at level alpha; rewards that are unknown count at their best.

    Infinite where the estimate has no value, standard error or degrees of freedom.
    """
    df, error, value = estimate.degrees_of_freedom, estimate.standard_error, estimate.value
    if df is None or error is None or value is None or not df > 0:
        return float("inf")
    return ends(value, error, df, estimate.skewness, 1.0 - alpha)[1] + estimate.unknown_high


def as_advice(check: Check, setting: str) -> Check:
    """The same, told and refusing nothing, because the setting says so."""
    text = check.text
    if not check.passed:
        text = Message("advice, as {setting} says: {text}", setting=setting, text=text)
    return replace(check, text=text, advice=True)


def _has_bound(estimate: PolicyEstimate) -> bool:
    df, error = estimate.degrees_of_freedom, estimate.standard_error
    return estimate.value is not None and df is not None and df > 0 and error is not None
