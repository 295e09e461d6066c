"""Worlds on which no threshold was chosen: other sizes, policies, tastes, classes and users."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.ope._cells import Floats, Problem
from benchmarks.ope._plain_cells import World, rewards, softmax

CONTEXTS = 3
LATENT = (0.1, 0.7, 2.2)


@dataclass(frozen=True)
class HeldOutCell:
    """One world and log size.

    Attributes:
        items: K, at least 3.
        rows: n.
        rate: mean reward under the logger, clicks of 0 and 1.
        policies: ``popular`` (logger by popularity, target 7/10 on one item), ``top`` (uniform
            logger, target uniform over the items of the two best classes), ``greedy`` (logger 3/5
            and target 3/5 on different items) or ``boltzmann`` (both soft, apart).
        rows_per_user: rows of every user; above 1 users keep their context and their taste.
    """

    items: int
    rows: int
    rate: float
    policies: str
    rows_per_user: int = 1

    @property
    def key(self) -> str:
        """Name of the cell, unique in the grid."""
        return "held out/" + "/".join(f"{k}={v}" for k, v in asdict(self).items())

    @property
    def refitted(self) -> bool:
        """Nothing is fitted."""
        return False

    def problem(self) -> Problem:
        """The world and its estimators."""
        return self.world().problem(self.rows // self.rows_per_user)

    def world(self) -> World:
        """The world of the cell; it has no randomness of its own."""
        classes = min(self.items, 9 if self.rows_per_user == 1 else 5)
        size = self._sizes(classes)
        # Most items are liked a little less than the mean, few much more.
        taste = -np.log((np.arange(classes) + 0.5) / classes) - 1.0
        order = np.argsort(np.sin(7.0 * np.arange(1, classes + 1)))
        score = np.stack([np.roll(taste[order], s * classes // CONTEXTS) for s in range(CONTEXTS)])
        logger, target = self._policies(score, size)
        mean = rewards(1.0 + 0.5 * np.tanh(score) + 0.2 * np.cos(5.0 * score), self.rate,
                       size * logger)  # fmt: skip
        return World.of(size, logger, target, mean, self.rows_per_user, LATENT)

    def _policies(self, score: Floats, size: np.ndarray) -> tuple[Floats, Floats]:
        uniform = np.full(score.shape, 1.0 / self.items)
        best, second = score.argmax(1), np.argsort(score, axis=1)[:, -2]
        if self.policies == "popular":
            popular = np.tile(1.0 / (1.0 + np.arange(len(size))), (CONTEXTS, 1)) / size
            popular /= (size * popular).sum(1, keepdims=True)
            return popular, 0.7 * _one(best, size) + 0.3 * popular
        if self.policies == "top":
            chosen = np.zeros_like(uniform)
            for places in (best, second):
                chosen[np.arange(CONTEXTS), places] = 1.0
            return uniform, chosen / (size * chosen).sum(1, keepdims=True)
        if self.policies == "greedy":
            return (
                0.6 * _one(second, size) + 0.4 * uniform,
                0.6 * _one(best, size) + 0.4 * uniform,
            )
        return softmax(-0.6 * score, size), softmax(0.6 * score, size)

    def _sizes(self, classes: int) -> np.ndarray:
        """Items of each class, growing from class to class by one factor."""
        if self.items <= classes:
            return np.ones(self.items, np.int64)
        share = 1.6 ** np.arange(classes)
        size = np.maximum(1, np.floor(self.items * share / share.sum())).astype(np.int64)
        size[-1] += self.items - size.sum()
        return size


def _one(place: np.ndarray, size: np.ndarray) -> Floats:
    """All on the items of one class a context, (S, J), evenly."""
    out = np.zeros((len(place), len(size)))
    out[np.arange(len(place)), place] = 1.0 / size[place]
    return out
