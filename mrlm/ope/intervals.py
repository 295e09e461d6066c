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
        degrees_of_freedom: of the t quantile, at most users less one.
        skewness: third cumulant of the estimate over its standard error cubed.
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
    degrees_of_freedom: float
    skewness: float
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
            "degrees_of_freedom": self.degrees_of_freedom,
            "skewness": self.skewness,
        }
        return {
            "policy": self.policy,
            "objective": self.objective,
            "estimator": self.estimator,
            **{k: v if math.isfinite(v) else None for k, v in numbers.items()},
            "level": self.level,
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
    G users (Cameron and Miller, 2015). The quantile is Student's t; its degrees of freedom are
    those at which a chi-square variance is as uncertain as this one, by the fourth moment of the
    users' influence (Satterthwaite), and at most G - 1: a few users of great influence widen it.
    The end towards the longer tail is moved out by the first term of the Edgeworth expansion of the
    studentised mean (Hall, 1992, section 3.10); the other end is not moved in.

    Raises:
        ValueError: the level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1; got {level}")
    found = diagnostics(state)
    value = ratio_value(state.numerator.sum(0), state.denominator.sum(0), state.signs)
    influence = _influence(state)
    variance = np.diag(covariance(state))
    freedom, skew = degrees_of_freedom(influence, state.rows > 0), _skewness(influence)
    out = {}
    for j, name in enumerate(state.objectives):
        users = found[name][0].users
        estimate = Estimate(
            policy=" - ".join(state.policies),
            objective=name,
            estimator=state.estimator,
            value=float(value[j]),
            standard_error=float(np.sqrt(variance[j])),
            degrees_of_freedom=float(freedom[j]),
            skewness=float(skew[j]),
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
    influence = _influence(state)
    groups = (state.rows > 0).sum(0)
    correction = np.full(len(groups), np.nan)
    np.divide(groups, groups - 1, out=correction, where=groups > 1)
    return influence.T @ influence * np.sqrt(np.outer(correction, correction))


def degrees_of_freedom(
    influence: NDArray[np.float64], used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Effective degrees of freedom of the clustered variance, shape (m,).

    ``2 V^2 / (sum x^4 - V^2 / G)`` with V = sum x^2 over the influence x of G users, shape (C, m);
    G - 1 where that is more, or where no influence is left.
    """
    groups = used.sum(0)
    x = _scaled(influence)
    total, fourth = (x**2).sum(0), (x**4).sum(0)
    spread = fourth - total**2 / np.maximum(groups, 1)
    found = np.full(len(groups), np.inf)
    np.divide(2 * total**2, spread, out=found, where=spread > 0)
    limited: NDArray[np.float64] = np.minimum(np.maximum(found, 1.0), np.maximum(groups - 1, 0))
    return limited


def _skewness(influence: NDArray[np.float64]) -> NDArray[np.float64]:
    x = _scaled(influence)
    total = (x**2).sum(0)
    found = np.zeros(len(total))
    np.divide((x**3).sum(0), total**1.5, out=found, where=total > 0)
    return found


def _scaled(influence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column over its largest absolute value, so that powers neither overflow nor vanish."""
    largest = np.abs(influence).max(0)
    return influence / np.where(largest > 0, largest, 1.0)


def _influence(state: EvaluationState) -> NDArray[np.float64]:
    """Influence of each user on the estimate, shape (C, m)."""
    return ratio_influence(
        state.numerator,
        state.denominator,
        state.numerator.sum(0),
        state.denominator.sum(0),
        state.signs,
    )


def bound(estimate: Estimate, level: float) -> float:
    """One-sided lower bound that the true value exceeds with probability ``level``.

    NaN where there is no standard error. The caller looks at ``estimate.certified`` first.

    Raises:
        ValueError: the level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1; got {level}")
    return _ends(estimate, level)[0]


def ends(
    value: float,
    standard_error: float,
    degrees_of_freedom: float,
    skewness: float,
    quantile: float,
) -> tuple[float, float]:
    """Lower and upper bound of an estimate, each one-sided of level ``quantile``.

    For whoever keeps an estimate as numbers; see ``estimates`` for the formula. NaN where there are
    no degrees of freedom.
    """
    # Half of this package's import time, so it waits until it is needed.
    from scipy.special import stdtrit

    if not degrees_of_freedom > 0:
        return math.nan, math.nan
    t = float(stdtrit(degrees_of_freedom, quantile))
    # The studentised mean is skewed the other way than the scores.
    shift = skewness * (1 + 2 * t**2) / 6
    lower = value - standard_error * (t - min(shift, 0.0))
    return lower, value + standard_error * (t + max(shift, 0.0))


def _ends(estimate: Estimate, quantile: float) -> tuple[float, float]:
    return ends(
        estimate.value,
        estimate.standard_error,
        estimate.degrees_of_freedom,
        estimate.skewness,
        quantile,
    )
