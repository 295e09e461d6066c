"""A north star that comes late, and follows in part from what was observed early."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mrlm.worlds.weighing.north_star_path import NorthStarPath, drawn_direction
from mrlm.worlds.weighing.weighing_world import Floats, WeighingLog, WeighingWorld, drawn_weighing


@dataclass(frozen=True)
class LateNorthStar:
    """What a user does early carries over to the north star, noise and all.

    The north star is through . observed objectives, plus what the world's own says: an effect of
    state and item that no early objective carries, and noise.

    Attributes:
        direct: whose north star is the direct effect with its noise.
        through: float64, shape (m,).
    """

    direct: WeighingWorld
    through: Floats

    def expected(self, means: Floats) -> Floats:
        """Expected north star of each candidate, shape (N,), from the true means (N, m + 1)."""
        found: Floats = self.direct.north_star(means, 0) + means[:, :-1] @ self.through
        return found

    def log(self, n: int, policy: Floats | None, rng: np.random.Generator) -> WeighingLog:
        """One night; see ``WeighingWorld.log``. Its north star is what it will have come to."""
        found = self.direct.log(n, policy, 0, rng)
        return replace(found, north_star=found.north_star + found.rewards @ self.through)


def late_north_star(
    objectives: int,
    rng: np.random.Generator,
    *,
    through: float,
    direct: float,
    told: float,
    candidates: int = 6,
) -> LateNorthStar:
    """A drawn world.

    Args:
        objectives: m, all of which are observed early.
        rng: of the objectives and of both parts' weights.
        through: length of the weights that act through what was observed.
        direct: length of those that act directly, and size of an effect that no objective holds.
        told: share of the north star's variance around its expectation that the observed
            objectives tell, in [0, 1); where ``through`` is 0 they tell nothing and the noise is 2.
        candidates: of each decision.
    """
    weights, beside = (drawn_direction(objectives, rng) for _ in range(2))
    world = drawn_weighing(NorthStarPath(direct * beside[None, :]), 2.0, rng)
    carried = float(np.linalg.norm(through * weights * world.reward_noise))
    noise = carried * np.sqrt((1 - told) / told) if carried else world.noise
    return LateNorthStar(
        replace(world, noise=float(noise), beyond=direct, candidates=candidates),
        through * weights,
    )
