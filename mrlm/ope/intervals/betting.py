"""A betting confidence sequence: valid at all numbers of users together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.intervals.bisection import last_true
from mrlm.ope.intervals.ratio import ScoreRange, checked
from mrlm.ope.state.state import EvaluationState

# Bets as shares of the largest safe one, each a step below the one before.
_SHARES = 0.95 / 1.5 ** np.arange(24)
_KINDS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Betting:
    """Values on which no gambler, out of a fixed crowd of them, would have grown rich.

    A gambler who stakes a constant l on ``N - v W`` of every user has the capital
    ``prod(1 + l (N - v W))``, a martingale when v is true. The mean capital of the crowd, half of
    which bets on each side, reaches ``1 / alpha`` with probability alpha at most (Ville). Waudby-
    Smith and Ramdas (2024), section 4, with constant bets, so that neither the order of the users
    nor the shards they came in matter. Valid however often one looks, at users who are complete.

    Attributes:
        known: the true range of a round.
    """

    known: ScoreRange
    name: ClassVar[str] = "betting"
    finite_sample: ClassVar[bool] = True
    anytime: ClassVar[bool] = True

    def __call__(
        self, state: EvaluationState, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends, each of shape (m,).

        Raises:
            ValueError: the scores are not of one ratio, or not in the range.
        """
        numerator, denominator = checked(state, self.known)
        ends = [
            self._ends(numerator[:, j], denominator[:, j], level)
            for j in range(len(state.objectives))
        ]
        return np.array([e[0] for e in ends]), np.array([e[1] for e in ends])

    def _ends(
        self, numerator: NDArray[np.float64], denominator: NDArray[np.float64], level: float
    ) -> tuple[float, float]:
        # Users with the same sums are one kind; pairs as complex numbers sort faster than rows.
        pairs, count = np.unique(numerator + 1j * denominator, return_counts=True)
        kinds = np.stack([pairs.real, pairs.imag], axis=1)
        bets = _SHARES / self.known.width
        rich = math.log(2 / (1 - level)) + math.log(len(bets))

        def poor(value: NDArray[np.float64], sign: float) -> NDArray[np.bool_]:
            gain = sign * (kinds[:, 0] - value * kinds[:, 1])
            logs = np.zeros(len(bets))
            for start in range(0, len(gain), _KINDS_AT_ONCE):
                part = slice(start, start + _KINDS_AT_ONCE)
                logs += np.log1p(bets[:, None] * gain[part]) @ count[part]
            top = logs.max()
            return np.array([top + math.log(np.exp(logs - top).sum()) < rich])

        low, high = np.array([self.known.lower]), np.array([self.known.upper])
        # Bets that the mean is above v win less as v grows, the others more.
        lower = last_true(lambda v: poor(v, 1.0), high, low)
        upper = last_true(lambda v: poor(v, -1.0), low, high)
        return float(lower[0]), float(upper[0])
