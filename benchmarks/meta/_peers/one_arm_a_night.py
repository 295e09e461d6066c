"""Bayesian optimisation of the weights: one arm a night, judged by the mean of its night."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._peer_environment import PeerEnvironment
from benchmarks.meta._worlds.night import Floats, Heads, equal_policy, fitted
from benchmarks.meta._worlds.world import LEAST_ENTROPY
from mrlm.worlds.weighing import WeighingLog, WeighingWorld, sharpest_weights

PEER = PeerEnvironment("bayesian", "bench-bayesian")


def best_arms(
    worlds: Sequence[WeighingWorld], seeds: Sequence[int], nights: int, rows: int
) -> list[Floats]:
    """Of each world the policies (nights, d * d) that each night's observations recommend.

    An arm is a direction of the objectives' weights, over heads that are fitted on all logs so far
    and as sharp as any policy here may be. What is observed of it is the mean north star of its
    night. The first night shows equal weights, as ours does, and is the first row.
    """
    runs = [_Run(world, seed, rows) for world, seed in zip(worlds, seeds, strict=True)]
    for night in range(nights - 1):
        for run in runs:
            run.shown(night)
        given = {name: np.array([getattr(r, name) for r in runs]) for name in _GIVEN}
        script = Path(__file__).with_name("botorch_arms.py")
        for run, told in zip(runs, PEER.measured(script, seed=night, **given), strict=True):
            run.told(told)
    return [np.array(run.recommended) for run in runs]


_GIVEN = ("arms", "means", "variances")


class _Run:
    """One world's nights so far."""

    def __init__(self, world: WeighingWorld, seed: int, rows: int) -> None:
        self._world, self._seed, self._rows = world, seed, rows
        self._logs: list[WeighingLog] = [world.log(rows, None, 0, np.random.default_rng([seed, 3]))]
        self._policy = equal_policy(self._heads)
        self.recommended: list[Floats] = [self._policy]
        self.arms: list[list[float]] = [[1 / world.objectives] * world.objectives]
        self.means: list[float] = []
        self.variances: list[float] = []

    def shown(self, night: int) -> None:
        """Write a night with the newest arm."""
        rng = np.random.default_rng([self._seed, 4, night])
        log = self._world.log(self._rows, self._policy, 0, rng)
        self._logs.append(log)
        self.means.append(float(log.north_star.mean()))
        self.variances.append(float(log.north_star.var()) / self._rows)

    def told(self, found: dict[str, Any]) -> None:
        """Take the next arm, and what is recommended now."""
        self.recommended.append(self._sharpest(found["best"]))
        self.arms.append(found["next"])
        self._policy = self._sharpest(found["next"])

    @property
    def _heads(self) -> Heads:
        return fitted(self._logs)

    def _sharpest(self, direction: Sequence[float]) -> Floats:
        world, heads = self._world, self._heads
        m = world.objectives
        objectives = self._logs[0].pair @ (heads.coefficients / heads.scale)[:, :m]
        least = LEAST_ENTROPY * float(np.log(world.candidates))
        weights = sharpest_weights(world, objectives, np.array(direction), least)
        return heads.policy(np.append(0.0, weights), np.zeros(len(heads.coefficients)))
