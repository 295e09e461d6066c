"""An asymptotic confidence sequence: the t interval's standard error, valid at every look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.intervals.influence import user_influence, users
from mrlm.ope.intervals.student import Moments
from mrlm.ope.scores import ratio_value
from mrlm.ope.state.state import EvaluationState


@dataclass(frozen=True)
class AsymptoticSequence:
    """``s / sqrt(t) * sqrt((1 + 1 / x) log((1 + x) / alpha^2))``, x = t rho^2, at t users.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and
    asymptotic confidence sequences (2024), equation 10. The chance of ever excluding the value, at
    any look, tends to at most alpha as the first look is later. For paired differences over
    nights, which it is meant for, it needs no range of rewards or weights.

    Attributes:
        planned_users: where it is to be narrowest; sets rho by minimising the width there.
    """

    planned_users: int = 10_000
    name: ClassVar[str] = "asymptotic"
    finite_sample: ClassVar[bool] = False
    anytime: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.planned_users < 1:
            raise ValueError(f"planned_users must be 1 or more; got {self.planned_users}")

    def __call__(
        self, state: EvaluationState, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends, each of shape (m,); NaN below two users."""
        value = ratio_value(state.numerator.sum(0), state.denominator.sum(0), state.signs)
        used = users(state)
        error = Moments.of(user_influence(state), used).standard_error
        alpha = 1 - level
        x = used.sum(0) * _best(alpha) / self.planned_users
        safe = np.where(x > 0, x, np.nan)
        half = error * np.sqrt((1 + 1 / safe) * np.log((1 + safe) / alpha**2))
        return value - half, value + half


def _best(alpha: float) -> float:
    """The x at which ``(1 + 1 / x) log((1 + x) / alpha^2)`` is least: ``x = log((1 + x) / a^2)``.

    The derivative of the expression in x is ``1 / x - log((1 + x) / alpha^2) / x^2``.
    """
    x = -2 * math.log(alpha)
    for _ in range(50):
        x = math.log((1 + x) / alpha**2)
    return x
