"""Clopper and Pearson's interval, where every score is a coin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.intervals.ratio import ScoreRange, checked
from mrlm.ope.state.state import EvaluationState


@dataclass(frozen=True)
class ClopperPearson:
    """Exact for binary rewards under weights that are 0 or one constant, one round a user.

    For a plain mean the trials are the rounds; for a self-normalised one they are the rounds with
    weight, given their number. Clopper and Pearson (1934).

    Attributes:
        known: the two values that numerator over denominator may have, and the constant weight as
            ``denominator`` (1 for a plain mean).
    """

    known: ScoreRange
    name: ClassVar[str] = "clopper_pearson"
    finite_sample: ClassVar[bool] = True
    anytime: ClassVar[bool] = False

    def __call__(
        self, state: EvaluationState, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends, each of shape (m,); the whole range without trials.

        Raises:
            ValueError: a user has more than one round, or a score is neither of the two values.
        """
        from scipy.special import betaincinv

        numerator, denominator = checked(state, self.known)
        if state.rows.max(initial=0) > 1:
            raise ValueError(
                "Clopper-Pearson needs one round a user; take the t, Bernstein or betting interval"
            )
        k = self.known
        success = _coin(numerator - k.lower * denominator, (k.upper - k.lower) * k.denominator)
        trials = _coin(denominator, k.denominator).sum(0)
        hits = success.sum(0)
        tail = (1 - level) / 2
        low = np.where(
            hits > 0, betaincinv(np.maximum(hits, 1), np.maximum(trials - hits, 0) + 1, tail), 0.0
        )
        high = np.where(
            hits < trials, betaincinv(hits + 1, np.maximum(trials - hits, 1), 1 - tail), 1.0
        )
        return k.lower + (k.upper - k.lower) * low, k.lower + (k.upper - k.lower) * high


def _coin(values: NDArray[np.float64], one: float) -> NDArray[np.bool_]:
    """Which values are ``one``, the others being 0.

    Raises:
        ValueError: a value is neither.
    """
    hit = np.isclose(values, one, rtol=1e-9, atol=0)
    strange = ~hit & (np.abs(values) > 1e-9 * one)
    if strange.any():
        raise ValueError(
            f"Clopper-Pearson needs scores of 0 or {one:g}; found {values[strange][0]:g}: take the "
            "t, Bernstein or betting interval"
        )
    return hit
