"""Biased estimates with a bound on their bias: intervals that hold the policy's value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.intervals import estimates
from mrlm.ope.plain import finite
from mrlm.ope.scores import Scores
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Certificate, Thresholds

LOWEST, HIGHEST = ", lowest", ", highest"


@dataclass(frozen=True)
class BoundedEstimate:
    """An interval that holds the policy's value, whatever the bias within its bound.

    Attributes:
        policy: name of the policy.
        objective: name of the objective.
        estimator: name of the estimator.
        lower: lower end at ``level``, bias included.
        upper: upper end.
        level: two-sided level.
        bias: half of what lies between the lowest and the highest value that the bound allows, in
            units of the objective.
        certificate: the verdict, as for every interval.
        estimand: what the value is of, see ``mrlm.ope.estimand``.
    """

    policy: str
    objective: str
    estimator: str
    lower: float
    upper: float
    level: float
    bias: float
    certificate: Certificate
    estimand: str = "per decision"

    @property
    def certified(self) -> bool:
        """Whether the interval covers the policy's value at its level."""
        return self.certificate.certified

    def to_json(self) -> dict[str, str | int | float | bool | None]:
        """Interval, bias and verdict; None for what is not a finite number."""
        numbers = {"lower": self.lower, "upper": self.upper, "bias": self.bias}
        return {
            "policy": self.policy,
            "objective": self.objective,
            "estimator": self.estimator,
            "estimand": self.estimand,
            **{k: finite(v) for k, v in numbers.items()},
            "level": self.level,
            "certified": self.certificate.certified,
            "reason": self.certificate.reason,
            "rows_needed": self.certificate.rows_needed,
        }


def between(
    scores: Scores, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[Scores, Scores]:
    """Scores of the lowest and of the highest value, the numerators moved by these.

    Args:
        scores: one ratio whose denominator is 1.
        low: float64, shape (n, m), added for the lowest value.
        high: float64, shape (n, m), added for the highest.
    """
    down, up = (np.where(scores.used, move, 0.0)[:, :, None] for move in (low, high))
    return (
        replace(
            scores,
            estimator=scores.estimator + LOWEST,
            covers_policy_value=True,
            numerator=scores.numerator + down,
        ),
        replace(
            scores,
            estimator=scores.estimator + HIGHEST,
            covers_policy_value=True,
            numerator=scores.numerator + up,
        ),
    )


def bounded_estimates(
    low: EvaluationState,
    high: EvaluationState,
    level: float = 0.95,
    thresholds: Thresholds | None = None,
) -> dict[str, BoundedEstimate]:
    """Interval of the policy's value by objective, from the states of the two scores.

    The lower end of the interval of the lowest value and the upper end of that of the highest hold
    the policy's value between them at the interval's level: each is missed on its own side only.

    Raises:
        ValueError: the level is not in (0, 1), or the states are not those of one bound.
    """
    name = low.estimator.removesuffix(LOWEST)
    if (low.estimator, high.estimator) != (name + LOWEST, name + HIGHEST):
        raise ValueError(
            "give the states of the lowest and of the highest value of one estimator; got "
            f"{low.estimator!r} and {high.estimator!r}"
        )
    below, above = estimates(low, level, thresholds), estimates(high, level, thresholds)
    return {
        objective: BoundedEstimate(
            policy=e.policy,
            objective=objective,
            estimator=name,
            lower=e.lower,
            upper=above[objective].upper,
            level=level,
            bias=(above[objective].value - e.value) / 2,
            certificate=above[objective].certificate if e.certified else e.certificate,
            estimand=e.estimand,
        )
        for objective, e in below.items()
    }
