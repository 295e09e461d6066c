"""What the promotion rule is made of: one condition, with the numbers in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mrlm.evidence.policy_estimate import PolicyEstimate
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
    """Whether an estimate's interval may be believed."""
    name = f"certified: {what}"
    if estimate is None:
        return Check(name, False, f"the evidence holds no estimate of the {what}")
    if estimate.certified and _has_bound(estimate):
        return Check(name, True, f"the interval of the {what} is certified")
    why = "; ".join(estimate.reasons) or "the numbers are missing"
    needed = f"; about {estimate.rows_needed} decisions would be needed" * bool(
        estimate.rows_needed
    )
    return Check(name, False, f"the {what} is not certified: {why}{needed}")


def lower_bound(estimate: PolicyEstimate, alpha: float) -> float:
    """One-sided lower bound at level alpha; rewards that are unknown count at their worst.

    Raises:
        ValueError: the estimate has no value, standard error or degrees of freedom.
    """
    df, error, value = estimate.degrees_of_freedom, estimate.standard_error, estimate.value
    if df is None or error is None or value is None:
        raise ValueError("an estimate without value, standard error or degrees of freedom")
    return ends(value, error, df, estimate.skewness, 1.0 - alpha)[0] + estimate.unknown_low


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
    said = "" if check.passed else f"advice, as {setting} says: "
    return replace(check, text=said + check.text, advice=True)


def _has_bound(estimate: PolicyEstimate) -> bool:
    df, error = estimate.degrees_of_freedom, estimate.standard_error
    return estimate.value is not None and df is not None and df > 0 and error is not None
