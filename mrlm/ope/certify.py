"""Certification: whether an interval may be believed, why not, and what it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mrlm.ope.diagnostics import Diagnostics

# Sums of weights that are all 1 miss their number by so much.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Thresholds:
    """What an interval needs before it is certified.

    Attributes:
        min_effective_sample_size: of the rounds' weights.
        max_weight_share: largest share that one round may have of all weights.
        min_users: effective number of independent users.
        min_nonzero: rounds that carry both weight and a reward other than 0.
        mean_weight_z: the mean weight may differ from 1 by this many standard errors.
        max_unsupported_mass: target probability on candidates the logger never shows.
    """

    min_effective_sample_size: float = 200.0
    max_weight_share: float = 0.1
    min_users: float = 30.0
    min_nonzero: int = 50
    mean_weight_z: float = 4.0
    max_unsupported_mass: float = 1e-3


@dataclass(frozen=True)
class Certificate:
    """The verdict on an interval.

    Attributes:
        certified: whether the interval covers the policy's true value at its level.
        reasons: why not, in plain sentences; empty when certified.
        rows_needed: rounds at which the unmet thresholds would be met, by linear extrapolation;
            None when certified and where more rounds of the same log would not help.
    """

    certified: bool
    reasons: tuple[str, ...] = ()
    rows_needed: int | None = None

    @property
    def reason(self) -> str | None:
        """All reasons in one line, or None when certified."""
        return "; ".join(self.reasons) or None


def certify(
    estimator: str,
    covers_policy_value: bool,
    found: Sequence[Diagnostics],
    thresholds: Thresholds,
) -> Certificate:
    """Verdict on the interval of one objective, from the diagnostics of all policies in it."""
    if not covers_policy_value:
        reason = (
            f"{estimator} covers its own target, not the policy's value: the bias of the reward "
            "model has no bound"
        )
        return Certificate(False, (reason,))
    reasons: list[str] = []
    factor, hopeless = 1.0, False
    for d in found:
        if d.rows == 0 or d.mean_weight == 0:
            hopeless = True
            reasons.append(
                f"{d.policy}: no row has a known {d.objective}"
                if d.rows == 0
                else f"{d.policy}: every importance weight is 0"
            )
            continue
        lacking = _support(d, thresholds)
        hopeless |= bool(lacking)
        shortfalls = _shortfalls(d, thresholds)
        factor = max([factor, *(f for _, f in shortfalls)])
        reasons += [f"{d.policy}: {r}" for r in [*lacking, *(r for r, _ in shortfalls)]]
    if not reasons:
        return Certificate(True)
    needed = None if hopeless else math.ceil(found[0].rows * factor)
    return Certificate(False, tuple(reasons), needed)


def _support(d: Diagnostics, t: Thresholds) -> list[str]:
    """Reasons that more rounds of the same log would not remove."""
    reasons = []
    if d.unsupported_mass is not None and d.unsupported_mass > t.max_unsupported_mass:
        reasons.append(
            f"{d.unsupported_mass:.1%} of its probability is on candidates the logger never shows "
            f"(at most {t.max_unsupported_mass:.1%})"
        )
    error = d.mean_weight_standard_error
    if abs(d.mean_weight - 1) > t.mean_weight_z * error + _ROUNDING:
        reasons.append(
            f"the mean importance weight is {d.mean_weight:.3f} with standard error {error:.3f}, "
            "not 1: the propensities are wrong or the logger does not support the policy"
        )
    return reasons


def _shortfalls(d: Diagnostics, t: Thresholds) -> list[tuple[str, float]]:
    """Unmet thresholds, each with the factor on the number of rounds that would meet it."""
    found = []
    if d.effective_sample_size < t.min_effective_sample_size:
        found.append(
            (
                f"effective sample size {d.effective_sample_size:.0f} of {d.rows} rows "
                f"(at least {t.min_effective_sample_size:.0f})",
                t.min_effective_sample_size / d.effective_sample_size,
            )
        )
    if d.largest_weight_share > t.max_weight_share:
        found.append(
            (
                f"one row has {d.largest_weight_share:.0%} of all weight "
                f"(at most {t.max_weight_share:.0%})",
                d.largest_weight_share / t.max_weight_share,
            )
        )
    if d.effective_users < t.min_users:
        found.append(
            (
                f"effective number of users {d.effective_users:.0f} of {d.users} "
                f"(at least {t.min_users:.0f})",
                t.min_users / d.effective_users,
            )
        )
    if d.nonzero < t.min_nonzero:
        found.append(
            (
                f"{d.nonzero} rows with weight and a {d.objective} other than 0 "
                f"(at least {t.min_nonzero})",
                t.min_nonzero / max(d.nonzero, 1),
            )
        )
    return found
