"""The worlds of this room: drawn once a seed, with what is true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from mrlm.worlds.weighing import (
    WeighingWorld,
    best_weights,
    changing,
    constant,
    drawn_weighing,
    sharpest_weights,
    softmax_with_floor,
)

Floats = NDArray[np.float64]
# Fresh contexts on which true values are computed; no log holds them.
_JUDGED = 1000
# Of every policy, ours, rivals' and the best, as a share of uniform's: the log has to tell
# tomorrow what other policies would bring.
LEAST_ENTROPY = 0.5


# Size of the north star: what its expectation spreads by over candidates, beside its noise.
RICH, THIN = 2.0, 1.0


def static_world(seed: int, objectives: int, noise: float, size: float = THIN) -> WeighingWorld:
    """The north star weighs its objectives alike every night."""
    rng = np.random.default_rng([seed, 0])
    return drawn_weighing(constant(objectives, rng, size), noise, rng)


def drifting_world(seed: int, objectives: int, noise: float) -> WeighingWorld:
    """Env-1: drift, a weekly term, and an abrupt change."""
    rng = np.random.default_rng([seed, 1])
    return drawn_weighing(changing(objectives, rng, RICH), noise, rng)


@dataclass(frozen=True)
class Judge:
    """True values on fresh contexts.

    Attributes:
        world: whose.
        pair: float64, shape (N, d * d).
        means: float64, shape (N, m + 1), true means of objectives and of the star's own form.
    """

    world: WeighingWorld
    pair: Floats
    means: Floats

    @classmethod
    def of(cls, world: WeighingWorld, seed: int) -> Judge:
        """With contexts of its own."""
        return cls(world, *world.contexts(_JUDGED, np.random.default_rng([seed, 2])))

    def truth(self, nights: Sequence[int]) -> Floats:
        """Expected north star of each candidate, the mean over nights."""
        return np.mean([self.world.north_star(self.means, night) for night in nights], axis=0)

    def value(self, logit: Floats, truth: Floats) -> float:
        """Of the softmax of a logit, explored as every policy is."""
        policy = softmax_with_floor(logit, self.world.candidates, self.world.floor)
        return float(policy @ truth) * self.world.candidates / len(truth)

    def of_policy(self, policy: Floats, night: int) -> float:
        """Of a policy with a linear logit on a night."""
        return self.value(self.pair @ policy, self.truth([night]))

    def best(self, nights: Sequence[int]) -> Floats:
        """The best fixed weights of those heads over these nights, shape (m,)."""
        start = np.mean([self.world.path.on(night) for night in nights], axis=0)
        return best_weights(self.world, self.heads, self.truth(nights), start, self.least_entropy)

    def of_weights(self, weights: Floats, night: int) -> float:
        """Of weights of those heads on a night."""
        return self.value(self.heads @ weights, self.truth([night]))

    @cached_property
    def heads(self) -> Floats:
        """What the heads of an endless log would say, shape (N, m)."""
        return self.world.straight(self.pair)

    @property
    def equal(self) -> Floats:
        """Equal weights, as sharp as any."""
        ones = np.ones(self.world.objectives)
        return sharpest_weights(self.world, self.heads, ones, self.least_entropy)

    @property
    def least_entropy(self) -> float:
        """Of every policy here, nats."""
        return LEAST_ENTROPY * float(np.log(self.world.candidates))


@lru_cache(maxsize=1)
def judge_of(kind: str, seed: int, objectives: int) -> Judge:
    """The judge of a world; noise has no part in the truth."""
    world = {
        "static": static_world(seed, objectives, 1.0),
        "rich": static_world(seed, objectives, 1.0, RICH),
        "drifting": drifting_world(seed, objectives, 1.0),
    }[kind]
    return Judge.of(world, seed)
