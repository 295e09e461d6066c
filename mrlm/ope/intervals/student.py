"""Student's t for clustered sums: effective degrees of freedom, and ends that know of skewness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrlm.ope.intervals.influence import user_influence, users
from mrlm.ope.scores import ratio_value
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.diagnostics import diagnostics


@dataclass(frozen=True)
class Moments:
    """Power sums of the users' influence x on an estimate, arrays of one shape.

    Attributes:
        groups: G, users that have rounds.
        scale: largest absolute influence, so that powers neither overflow nor vanish; 1 where all
            are 0.
        second: sum of (x / scale)^2.
        third: sum of (x / scale)^3.
        fourth: sum of (x / scale)^4.
    """

    groups: NDArray[np.int64]
    scale: NDArray[np.float64]
    second: NDArray[np.float64]
    third: NDArray[np.float64]
    fourth: NDArray[np.float64]

    @classmethod
    def of(cls, influence: NDArray[np.float64], used: NDArray[np.bool_]) -> Moments:
        """Moments over users of an influence of shape (C, m); ``used`` says who has rounds."""
        largest = np.abs(influence).max(0)
        scale = np.where(largest > 0, largest, 1.0)
        x = influence / scale
        square = x**2
        return cls(used.sum(0), scale, square.sum(0), (square * x).sum(0), (square**2).sum(0))

    @property
    def standard_error(self) -> NDArray[np.float64]:
        """Square root of G / (G - 1) sum x^2 (Cameron and Miller, 2015); NaN below two users."""
        correction = np.full(self.second.shape, np.nan)
        groups = np.asarray(self.groups, np.float64)
        np.divide(groups, groups - 1, out=correction, where=groups > 1)
        error: NDArray[np.float64] = self.scale * np.sqrt(correction * self.second)
        return error

    @property
    def degrees_of_freedom(self) -> NDArray[np.float64]:
        """``2 V^2 / (sum x^4 - V^2 / G)`` with V = sum x^2; at least 1, at most G - 1.

        Those at which a chi-square variance is as uncertain as this one (Satterthwaite, 1946).
        What the weights say is not in it, see ``degrees_of_freedom``.
        """
        groups = np.asarray(self.groups)
        spread = self.fourth - self.second**2 / np.maximum(groups, 1)
        found = np.full(self.second.shape, np.inf)
        np.divide(2 * self.second**2, spread, out=found, where=spread > 0)
        limited: NDArray[np.float64] = np.minimum(np.maximum(found, 1.0), np.maximum(groups - 1, 0))
        return limited

    @property
    def skewness(self) -> NDArray[np.float64]:
        """Third cumulant of the estimate over its standard error cubed."""
        found = np.zeros(self.second.shape)
        np.divide(self.third, self.second**1.5, out=found, where=self.second > 0)
        return found


@dataclass(frozen=True)
class Student:
    """The default: see ``ends``."""

    name: ClassVar[str] = "t"
    finite_sample: ClassVar[bool] = False
    anytime: ClassVar[bool] = False

    def __call__(
        self, state: EvaluationState, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends, each of shape (m,)."""
        value = ratio_value(state.numerator.sum(0), state.denominator.sum(0), state.signs)
        m = Moments.of(user_influence(state), users(state))
        freedom = degrees_of_freedom(m, limit_by_weights(state))
        return ends_of(value, m.standard_error, freedom, m.skewness, (1 + level) / 2)


def limit_by_weights(state: EvaluationState) -> NDArray[np.float64]:
    """Largest degrees of freedom that the weights allow, shape (m,); see ``degrees_of_freedom``.

    Infinite for an estimator with a target of its own, which the full weights are no part of.
    """
    if not state.covers_policy_value:
        return np.full(len(state.objectives), np.inf)
    found = diagnostics(state)
    return np.array([min(d.tail_nonzero for d in found[name]) for name in state.objectives])


def degrees_of_freedom(m: Moments, limit: ArrayLike) -> NDArray[np.float64]:
    """Of the moments, limited by what the weights say; 1 at the least, 0 below two users.

    The fourth moment of the influence is blind to heavy weights that happened to bring no reward.
    All weights are seen: the variance rests on ``Diagnostics.tail_nonzero`` users, those that the
    fourth moment of the weights leaves times the share that brings a reward. Satterthwaite's
    factor of 2 is left out, since that number is itself uncertain where it is small.
    """
    found: NDArray[np.float64] = np.where(
        m.degrees_of_freedom > 0,
        np.maximum(np.minimum(m.degrees_of_freedom, limit), 1.0),
        0.0,
    )
    return found


def ends(
    value: float,
    standard_error: float,
    degrees_of_freedom: float,
    skewness: float,
    quantile: float,
) -> tuple[float, float]:
    """Lower and upper bound of one estimate, each one-sided of level ``quantile``; see ``ends_of``.

    For whoever keeps an estimate as numbers.
    """
    lower, upper = ends_of(value, standard_error, degrees_of_freedom, skewness, quantile)
    return float(lower), float(upper)


def ends_of(
    value: ArrayLike,
    standard_error: ArrayLike,
    degrees_of_freedom: ArrayLike,
    skewness: ArrayLike,
    quantile: ArrayLike,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bounds, each one-sided of level ``quantile``; arrays that broadcast.

    Student's t, its end towards the longer tail moved out by the first term of the Edgeworth
    expansion of the studentised mean, ``skewness (1 + 2 t^2) / 6`` standard errors (Hall, The
    Bootstrap and Edgeworth Expansion, 1992, section 3.10). The other end is not moved in. NaN where
    there are no degrees of freedom.
    """
    # Half of this package's import time, so it waits until it is needed.
    from scipy.special import stdtrit

    freedom = np.asarray(degrees_of_freedom, np.float64)
    error = np.asarray(standard_error, np.float64)
    skew = np.asarray(skewness, np.float64)
    known = freedom > 0
    t = np.where(known, stdtrit(np.where(known, freedom, 1.0), quantile), np.nan)
    # The studentised mean is skewed the other way than the scores.
    shift = skew * (1 + 2 * t**2) / 6
    lower: NDArray[np.float64] = value - error * (t - np.minimum(shift, 0.0))
    upper: NDArray[np.float64] = value + error * (t + np.maximum(shift, 0.0))
    return lower, upper
