"""One estimate as evidence keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mrlm.ope.intervals import Estimate
from mrlm.ope.plain import finite


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
