"""Hoeffding's interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.intervals.influence import users
from mrlm.ope.intervals.ratio import ScoreRange, checked
from mrlm.ope.state.state import EvaluationState


@dataclass(frozen=True)
class Hoeffding:
    """``R sqrt(log(2 / alpha) / (2 G))`` for the mean of G users with sums in a range of width R.

    Hoeffding (1963), theorem 2, inverted in the value of the ratio.

    Attributes:
        known: the true range of a round.
    """

    known: ScoreRange
    name: ClassVar[str] = "hoeffding"
    finite_sample: ClassVar[bool] = True
    anytime: ClassVar[bool] = False

    def __call__(
        self, state: EvaluationState, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends, each of shape (m,).

        Raises:
            ValueError: the scores are not of one ratio, or not in the range.
        """
        numerator, denominator = checked(state, self.known)
        groups = users(state).sum(0)
        half = self.known.width * np.sqrt(groups * math.log(2 / (1 - level)) / 2)
        total, weight = numerator.sum(0), denominator.sum(0)
        safe = np.where(weight > 0, weight, np.nan)
        lower = np.maximum((total - half) / safe, self.known.lower)
        return lower, np.minimum((total + half) / safe, self.known.upper)
