"""Intervals of the mean over decisions, users being the unit of independence."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.certify import Certificate, Thresholds, certify
from mrlm.ope.diagnostics import Diagnostics, diagnostics
from mrlm.ope.scores import ratio_influence, ratio_value
from mrlm.ope.state import EvaluationState


@dataclass(frozen=True)
class Estimate:
    """The value of a policy, or of a difference, with its interval and the verdict on it.

    Attributes:
        policy: name of the policy, or ``first - second``.
        objective: name of the objective.
        estimator: name of the estimator.
        value: the estimate, in units of the objective; NaN where nothing can be estimated.
        standard_error: of the value.
        degrees_of_freedom: users less one.
        level: two-sided level of the interval.
        lower: lower end.
        upper: upper end.
        rows: rounds used.
        users: users among them.
        certificate: whether the interval may be believed; it travels with the numbers.
        diagnostics: what the verdict rests on, one for each policy.
    """

    policy: str
    objective: str
    estimator: str
    value: float
    standard_error: float
    degrees_of_freedom: int
    level: float
    lower: float
    upper: float
    rows: int
    users: int
    certificate: Certificate
    diagnostics: tuple[Diagnostics, ...]

    @property
    def certified(self) -> bool:
        """Whether the interval covers the policy's value at its level."""
        return self.certificate.certified

    def at(self, level: float) -> Estimate:
        """The same estimate with a two-sided interval of another level."""
        lower, upper = _ends(self, (1 + level) / 2)
        return replace(self, level=level, lower=lower, upper=upper)

    def to_json(self) -> dict[str, str | int | float | bool | None]:
        """Value, interval and verdict; None for what is not a finite number."""
        numbers = {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "standard_error": self.standard_error,
        }
        return {
            "policy": self.policy,
            "objective": self.objective,
            "estimator": self.estimator,
            **{k: v if math.isfinite(v) else None for k, v in numbers.items()},
            "level": self.level,
            "degrees_of_freedom": self.degrees_of_freedom,
            "rows": self.rows,
            "users": self.users,
            "certified": self.certificate.certified,
            "reason": self.certificate.reason,
            "rows_needed": self.certificate.rows_needed,
        }


def estimates(
    state: EvaluationState, level: float = 0.95, thresholds: Thresholds | None = None
) -> dict[str, Estimate]:
    """Estimate of each objective, by name, with a two-sided interval of ``level``.

    The variance is the linearised one of a ratio of sums, clustered by user, times G / (G - 1) for
    G users; the quantile is Student's t with G - 1 degrees of freedom (Cameron and Miller, 2015).

    Raises:
        ValueError: the level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1; got {level}")
    found = diagnostics(state)
    value = ratio_value(state.numerator.sum(0), state.denominator.sum(0), state.signs)
    variance = np.diag(covariance(state))
    out = {}
    for j, name in enumerate(state.objectives):
        users = found[name][0].users
        estimate = Estimate(
            policy=" - ".join(state.policies),
            objective=name,
            estimator=state.estimator,
            value=float(value[j]),
            standard_error=float(np.sqrt(variance[j])),
            degrees_of_freedom=max(users - 1, 0),
            level=level,
            lower=math.nan,
            upper=math.nan,
            rows=found[name][0].rows,
            users=users,
            certificate=certify(
                state.estimator,
                state.covers_policy_value,
                found[name],
                thresholds or Thresholds(),
            ),
            diagnostics=found[name],
        )
        out[name] = estimate.at(level)
    return out


def covariance(state: EvaluationState) -> NDArray[np.float64]:
    """Covariance of the estimates of all objectives, shape (m, m); NaN below two users."""
    influence = ratio_influence(
        state.numerator,
        state.denominator,
        state.numerator.sum(0),
        state.denominator.sum(0),
        state.signs,
    )
    groups = (state.rows > 0).sum(0)
    correction = np.full(len(groups), np.nan)
    np.divide(groups, groups - 1, out=correction, where=groups > 1)
    return influence.T @ influence * np.sqrt(np.outer(correction, correction))


def bound(estimate: Estimate, level: float) -> float:
    """One-sided lower bound that the true value exceeds with probability ``level``.

    NaN where there is no standard error. The caller looks at ``estimate.certified`` first.

    Raises:
        ValueError: the level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1; got {level}")
    return _ends(estimate, level)[0]


def _ends(estimate: Estimate, quantile: float) -> tuple[float, float]:
    # Half of this package's import time, so it waits until it is needed.
    from scipy.special import stdtrit

    half = math.nan
    if estimate.degrees_of_freedom > 0:
        t = float(stdtrit(estimate.degrees_of_freedom, quantile))
        half = t * estimate.standard_error
    return estimate.value - half, estimate.value + half
