"""The empirical Bernstein interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.intervals.bisection import last_true
from mrlm.ope.intervals.influence import users
from mrlm.ope.intervals.ratio import ScoreRange, checked
from mrlm.ope.state.state import EvaluationState


@dataclass(frozen=True)
class Bernstein:
    """``sqrt(2 V L / G) + 7 R L / (3 (G - 1))`` with L = log(4 / alpha) for the mean of G users.

    V is the sample variance and R the width of the true range. Maurer and Pontil (2009), theorem
    11, at alpha / 2 a side, inverted in the value of the ratio.

    Attributes:
        known: the true range of a round.
    """

    known: ScoreRange
    name: ClassVar[str] = "bernstein"
    finite_sample: ClassVar[bool] = True
    anytime: ClassVar[bool] = False

    def __call__(
        self, state: EvaluationState, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends, each of shape (m,); NaN below two users.

        Raises:
            ValueError: the scores are not of one ratio, or not in the range.
        """
        numerator, denominator = checked(state, self.known)
        groups = users(state).sum(0).astype(float)
        groups[groups < 2] = np.nan
        n, w = numerator.sum(0) / groups, denominator.sum(0) / groups
        loose = math.log(4 / (1 - level))

        def spread(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
            found: NDArray[np.float64] = (
                (x * y).sum(0) / groups - x.sum(0) * y.sum(0) / groups**2
            ) * (groups / (groups - 1))
            return found

        nn, nw, ww = (
            spread(numerator, numerator),
            spread(numerator, denominator),
            spread(denominator, denominator),
        )
        fixed = 7 * self.known.width * loose / (3 * (groups - 1))

        def inside(value: NDArray[np.float64]) -> NDArray[np.bool_]:
            variance = np.maximum(nn - 2 * value * nw + value**2 * ww, 0.0)
            reach = np.sqrt(2 * variance * loose / groups) + fixed
            found: NDArray[np.bool_] = np.abs(n - value * w) <= reach
            return found

        # Along a side the gap is concave in the value: it leaves the set once at most, or the whole
        # side is kept.
        value = n / np.where(w > 0, w, np.nan)
        lower = last_true(inside, value, np.full_like(value, self.known.lower))
        return lower, last_true(inside, value, np.full_like(value, self.known.upper))
