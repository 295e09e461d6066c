"""One estimate as evidence keeps it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mrlm.ope.intervals import Estimate, ends
from mrlm.ope.plain import finite

_FAR = 3.0


@dataclass(frozen=True)
class PolicyEstimate:
    """One estimate with its interval; None where a number could not be had.

    Attributes:
        value: mean reward a decision, in the objective's unit.
        standard_error: of ``value``, clustered by user.
        degrees_of_freedom: of the t distribution of ``value``.
        lower: two-sided bound at ``level``.
        upper: two-sided bound at ``level``.
        level: of the interval.
        certified: whether the data support an interval at all.
        reasons: why not, in words.
        rows_needed: decisions that would be needed, where that can be said.
        skewness: of the studentised value; moves the bound towards the longer tail.
        unknown_low: 0 or less: what rewards that are unknown or lost could move a lower bound by;
            ``lower`` has it in it.
        unknown_high: 0 or more: what they could move an upper bound by; ``upper`` has it in it.
    """

    value: float | None
    standard_error: float | None = None
    degrees_of_freedom: float | None = None
    lower: float | None = None
    upper: float | None = None
    level: float = 0.95
    certified: bool = False
    reasons: tuple[str, ...] = ()
    rows_needed: int | None = None
    skewness: float = 0.0
    unknown_low: float = 0.0
    unknown_high: float = 0.0

    def widened(self, worst: PolicyEstimate, best: PolicyEstimate) -> PolicyEstimate:
        """With what unknown rewards could change.

        Args:
            worst: the estimate where they are such that it is smallest.
            best: the estimate where they are such that it is largest.
        """
        low = min(0.0, _gap(worst.value, self.value), _gap(worst.lower, self.lower))
        high = max(0.0, _gap(best.value, self.value), _gap(best.upper, self.upper))
        return replace(
            self,
            unknown_low=low,
            unknown_high=high,
            lower=None if self.lower is None else self.lower + low,
            upper=None if self.upper is None else self.upper + high,
        )

    def of_few_rows(self, quantile: float | None = None) -> bool:
        """Whether too few effective rows stand behind an end to tell it.

        So it is where the end lies more than three times as far off as that of as exact an estimate
        of many rows would: it then speaks of Student's t, and no longer of the objective.

        Args:
            quantile: one-sided, of the end; None: that of the interval.
        """
        error, freedom = self.standard_error, self.degrees_of_freedom
        if not error or not freedom:
            return False
        at = (1 + self.level) / 2 if quantile is None else quantile
        lower, upper = ends(0.0, error, freedom, self.skewness, at)
        return max(-lower, upper) > _FAR * ends(0.0, error, math.inf, 0.0, at)[1]

    @classmethod
    def of(cls, estimate: Estimate) -> PolicyEstimate:
        """The numbers of an estimate; what is not finite becomes None."""
        return cls(
            value=finite(estimate.value),
            standard_error=finite(estimate.standard_error),
            degrees_of_freedom=float(estimate.degrees_of_freedom),
            skewness=finite(estimate.skewness) or 0.0,
            lower=finite(estimate.lower),
            upper=finite(estimate.upper),
            level=estimate.level,
            certified=estimate.certified,
            reasons=estimate.certificate.reasons,
            rows_needed=estimate.certificate.rows_needed,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PolicyEstimate:
        """Read what ``dataclasses.asdict`` wrote."""
        return cls(**{**data, "reasons": tuple(data.get("reasons", ()))})


def _gap(moved: float | None, plain: float | None) -> float:
    return 0.0 if moved is None or plain is None else moved - plain
