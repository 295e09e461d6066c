"""Estimates that are one ratio of sums by user, and the range that their rounds are known to have.

With a user's sums N and W and the true value v of the ratio, ``N - v W`` has expectation 0 whatever
the sizes of the users, so a method for means of independent bounded variables, inverted in v, is
exact for the ratio too, without a word about the denominator's own variation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.state.state import EvaluationState

_ROUNDING = 1e-9


@dataclass(frozen=True)
class ScoreRange:
    """What is known of every round before it is seen; never what the sample shows.

    Plain means (IPS, DR, their differences) have denominator 1 and scores from ``lower`` to
    ``upper``: for IPS with rewards from 0 to r, 0 to r times the largest possible weight.
    Self-normalised ones have rewards from ``lower`` to ``upper`` and weights up to ``denominator``.

    Attributes:
        lower: least numerator over denominator of a round.
        upper: largest numerator over denominator of a round.
        denominator: largest denominator of a round.
        rounds_per_user: most rounds that a user may have.

    Raises:
        ValueError: the range is empty or not finite.
    """

    lower: float
    upper: float
    denominator: float = 1.0
    rounds_per_user: int = 1

    def __post_init__(self) -> None:
        if not (np.isfinite([self.lower, self.upper]).all() and self.lower < self.upper):
            raise ValueError(f"a range needs finite lower < upper; got {self.lower}, {self.upper}")
        if not (0 < self.denominator < np.inf and self.rounds_per_user >= 1):
            raise ValueError(
                f"denominator and rounds_per_user must be above 0; got {self.denominator}, "
                f"{self.rounds_per_user}"
            )

    @property
    def width(self) -> float:
        """Width of the range of a user's ``N - v W`` for any v in the range."""
        return self.rounds_per_user * self.denominator * (self.upper - self.lower)


def one_ratio_of(state: EvaluationState) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerator and denominator of each user, each of shape (C, m).

    Raises:
        ValueError: the estimate is a sum of ratios with different denominators.
    """
    first = state.denominator[:, :, :1]
    if not np.array_equal(np.broadcast_to(first, state.denominator.shape), state.denominator):
        raise ValueError(
            f"{state.estimator} for {' - '.join(state.policies)} is a difference of ratios with "
            "different denominators: use the t, bootstrap or asymptotic interval"
        )
    return state.numerator @ state.signs, first[:, :, 0]


def checked(
    state: EvaluationState, known: ScoreRange
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``one_ratio_of`` a state whose users are all inside the range.

    Raises:
        ValueError: as there, or a user is outside the range.
    """
    numerator, denominator = one_ratio_of(state)
    most = int(state.rows.max(initial=0))
    if most > known.rounds_per_user:
        raise ValueError(
            f"a user has {most} rounds, the range says at most {known.rounds_per_user}: give "
            "ScoreRange(rounds_per_user=...) as large as it can be"
        )
    room = _ROUNDING * (1 + max(abs(known.lower), abs(known.upper)) * known.denominator * most)
    outside = (
        (denominator > state.rows * known.denominator + room)
        | (numerator < known.lower * denominator - room)
        | (numerator > known.upper * denominator + room)
    )
    if outside.any():
        user = state.cluster[outside.any(1)][0]
        raise ValueError(
            f"user {user!r} has scores outside the range {known}: give the range that rewards and "
            "weights can have, not one read off a sample"
        )
    return numerator, denominator
