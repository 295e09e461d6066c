"""How much each objective counts for the north star, night by night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WEEK = 7


@dataclass(frozen=True)
class NorthStarPath:
    """True weights of m objectives on each of t nights.

    Attributes:
        weights: float64, shape (t, m), not negative; the last night's hold for ever.
        changes: nights on which they change abruptly.
    """

    weights: NDArray[np.float64]
    changes: tuple[int, ...] = ()

    def on(self, night: int) -> NDArray[np.float64]:
        """The weights of a night, shape (m,)."""
        last = len(self.weights) - 1
        found: NDArray[np.float64] = self.weights[min(night, last)]
        return found


def constant(objectives: int, rng: np.random.Generator, size: float = 1.0) -> NorthStarPath:
    """The same weights every night, of this length."""
    return NorthStarPath(size * drawn_direction(objectives, rng)[None, :])


def changing(
    objectives: int,
    rng: np.random.Generator,
    size: float = 1.0,
    *,
    nights: int = 40,
    drift_ends: int = 18,
    change: int = 22,
    weekly: float = 0.2,
) -> NorthStarPath:
    """Weights that drift from A to B in the first nights, are B, and from one night on are C.

    Every night's are multiplied by 1 + ``weekly`` * sin(2 pi night / 7 + phase), each objective
    with a phase of its own.

    Args:
        objectives: how many.
        rng: of A, B, C and the phases.
        size: length of A, B and C as vectors; about the north star's deviation over candidates.
        nights: that the path says.
        drift_ends: night on which B is reached.
        change: first night of C.
        weekly: relative size of the weekly term.
    """
    a, b, c = (drawn_direction(objectives, rng) for _ in range(3))
    phase = rng.uniform(0, 2 * np.pi, objectives)
    night = np.arange(nights)[:, None]
    share = np.clip(night / drift_ends, 0, 1)
    base = size * np.where(night < change, (1 - share) * a + share * b, c)
    week = 1 + weekly * np.sin(2 * np.pi * night / _WEEK + phase)
    return NorthStarPath(base * week, (change,))


def drawn_direction(objectives: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Uniform on the simplex, then of length 1: the north star's size does not depend on m."""
    drawn = rng.dirichlet(np.ones(objectives))
    return np.asarray(drawn / np.linalg.norm(drawn), np.float64)
