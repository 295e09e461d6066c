"""A Markov decision process with ragged candidate sets and vector rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class TabularModel:
    """S states, P pairs of a state and one of its actions, m objectives.

    The pairs of a state lie together: its candidate set is ``offsets[s]:offsets[s + 1]``.

    Attributes:
        offsets: int64, shape (S + 1,), of the candidate sets; none is empty.
        action: int64, shape (P,), the action's number, which states share.
        transition: float64, shape (P, S), chance of each next state; what a row lacks to 1 is the
            chance that the session ends.
        reward: float64, shape (P, m), expected.
        noise: float64, shape (m,), standard deviation of what is added to it.
        start: float64, shape (S,), chance of each first state.

    Raises:
        ValueError: shapes do not fit together, a set is empty, or a row is no distribution.
    """

    offsets: NDArray[np.int64]
    action: NDArray[np.int64]
    transition: NDArray[np.float64]
    reward: NDArray[np.float64]
    noise: NDArray[np.float64]
    start: NDArray[np.float64]

    def __post_init__(self) -> None:
        states, pairs = len(self.start), len(self.action)
        if (
            self.offsets.shape != (states + 1,)
            or self.offsets[0] != 0
            or self.offsets[-1] != pairs
            or not (np.diff(self.offsets) > 0).all()
        ):
            raise ValueError(f"offsets must cut {pairs} pairs into {states} sets, none empty")
        if self.transition.shape != (pairs, states) or self.reward.shape != (
            pairs,
            len(self.noise),
        ):
            raise ValueError(
                f"transition must have shape {(pairs, states)} and reward "
                f"{(pairs, len(self.noise))}: {self.transition.shape}, {self.reward.shape}"
            )
        if not (self.transition >= 0).all() or (self.transition.sum(1) > 1 + _TOLERANCE).any():
            raise ValueError("a row of transition is negative or sums to more than 1")
        if not (self.start >= 0).all() or abs(self.start.sum() - 1) > _TOLERANCE:
            raise ValueError(f"start must sum to 1; got {self.start.sum()}")

    @property
    def state(self) -> NDArray[np.int64]:
        """State of each pair, int64, shape (P,)."""
        return np.repeat(np.arange(len(self.start)), np.diff(self.offsets))
