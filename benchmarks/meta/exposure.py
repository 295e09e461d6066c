"""A floor on who is shown, in a closed loop: small providers' items get their share of shows.

One in five candidates is of a small provider, whatever it brings: without a floor they get a fifth
of the shows, and the floor asks for .28. 5 objectives, 6,000 decisions a night with noise 4; a
champion of equal weights, whose nights are each tuned on and served as they are chosen. The feature
of the small providers' items is there in both loops, with the floor and without.

Exposure and north star are the true ones on fresh contexts; what the floor costs is the share of
the other loop's north star over uniform shows. 10 seeds of 8 nights; quick: 1 seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.meta._finished import finished
from benchmarks.meta._worlds.night import Floats, equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, RICH, judge_of, static_world
from benchmarks.rows import Row
from mrlm.bandit_log import Objective
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.worlds.weighing import WeighingLog, WeighingWorld, softmax_with_floor

OBJECTIVES, ROWS, NOISE, NIGHTS = 5, 6000, 4.0, 8
SHARE, TARGET, WITHIN, COST = 0.2, 0.28, 0.01, 0.06
SEEDS, QUICK_SEEDS = 10, 1
SMALL = Objective("small_providers", "item", attribute="small", low=0.0, high=1.0)
FREE, FLOOR = "free", "floor"
_DRAWS = 20


@dataclass(frozen=True)
class Served:
    """A policy: coefficients of the pairs, and what an item of a small provider gets besides."""

    pair: Floats
    bonus: float

    def logit(self, pair: Floats, small: NDArray[np.bool_]) -> Floats:
        """Of every candidate."""
        return np.asarray(pair @ self.pair + self.bonus * small, np.float64)


def run(quick: bool) -> list[Row]:
    """Nights to the target, and what it costs."""
    kept = finished(__name__)
    cells = [
        kept.of([seed], partial(cell, seed)) for seed in range(QUICK_SEEDS if quick else SEEDS)
    ]
    exposure = np.array([c[FLOOR]["exposure"] for c in cells])
    free, floor = (np.array([c[name]["value"][-1] for c in cells]) for name in (FREE, FLOOR))
    there = np.abs(exposure - TARGET) <= WITHIN
    # The first night from which on it stays there.
    nights = [int(np.cumprod(row[::-1]).sum()) for row in there]
    reached = [NIGHTS + 1 - n for n in nights]
    cost = 1 - float(floor.sum() / free.sum())
    before = np.mean([c[FREE]["exposure"][-1] for c in cells])
    return [
        Row(
            f"exposure: nights until it stays within {WITHIN:g} of {TARGET:g}, the slowest seed",
            max(reached),
            bar=f"<= {NIGHTS}",
            holds=max(reached) <= NIGHTS,
            note=f"{len(cells)} seeds; at the end {exposure[:, -1].mean():.3f}, without a floor "
            f"{before:.3f}",
        ),
        Row(
            "exposure: share of the value that the floor costs",
            cost,
            bar=f"<= {COST:g}",
            holds=cost <= COST,
            note="of the north star over uniform shows, after the last night",
        ),
    ]


def cell(seed: int) -> dict[str, dict[str, list[float]]]:
    """Exposure and value after each night, with the floor and without."""
    world, judge = static_world(seed, OBJECTIVES, NOISE, RICH), judge_of("rich", seed, OBJECTIVES)
    first = world.log(ROWS, None, 0, np.random.default_rng([seed, 14]))
    # Who is small has nothing to do with the pair, so the same contexts serve many times.
    fresh = np.random.default_rng([seed, 15]).random((_DRAWS, len(judge.pair))) < SHARE
    truth, n = judge.truth([0]), len(judge.pair) / world.candidates
    found = {}
    for name, floors in ((FREE, {}), (FLOOR, {SMALL.name: TARGET})):
        settings = TuningSettings(least_entropy=LEAST_ENTROPY, exposure_floors=floors)
        served = Served(equal_policy(fitted([first])), 0.0)
        told: dict[str, list[float]] = {"exposure": [], "value": []}
        for night in range(NIGHTS):
            served = _after(world, served, settings, np.random.default_rng([seed, 16, night]))
            policy = np.array(
                [
                    softmax_with_floor(
                        served.logit(judge.pair, small), world.candidates, world.floor
                    )
                    for small in fresh
                ]
            )
            told["exposure"].append(float((policy * fresh).sum()) / n / _DRAWS)
            told["value"].append(float(policy.mean(axis=0) @ truth) / n - float(truth.mean()))
        found[name] = told
    return found


def _after(
    world: WeighingWorld, served: Served, settings: TuningSettings, rng: np.random.Generator
) -> Served:
    """What is served after a night of this policy."""
    log, small = _night(world, served, rng)
    heads = fitted([log])
    problem = _problem(world, log, small, served)
    result = tune(problem, settings)
    if not result.moved:
        return served
    by_pair, own = result.point[:-1], float(result.point[-1])
    return Served(
        heads.policy(by_pair, served.pair),
        float(by_pair[0]) * served.bonus + own / float(small.std()),
    )


def _night(
    world: WeighingWorld, served: Served, rng: np.random.Generator
) -> tuple[WeighingLog, NDArray[np.bool_]]:
    """A night's log, and which candidates are of small providers."""
    pair, means = world.contexts(ROWS, rng)
    small = rng.random(len(pair)) < SHARE
    probability = softmax_with_floor(served.logit(pair, small), world.candidates, world.floor)
    # A candidate is shown with its probability: the largest logarithm with Gumbel noise.
    noisy = (np.log(probability) + rng.gumbel(size=len(probability))).reshape(ROWS, -1)
    shown = np.arange(ROWS) * world.candidates + noisy.argmax(axis=1)
    rewards = means[shown][:, :-1] + world.reward_noise * rng.standard_normal((ROWS, OBJECTIVES))
    star = world.north_star(means[shown], 0) + world.noise * rng.standard_normal(ROWS)
    user = np.arange(ROWS) // world.decisions_a_user
    return WeighingLog(pair, probability, shown, user, rewards, star), small


def _problem(
    world: WeighingWorld, log: WeighingLog, small: NDArray[np.bool_], served: Served
) -> TuningProblem:
    """The night with the small providers' items as a feature and as a known objective."""
    bare = problem_of(world, [log], served.pair)
    known = small.astype(np.float64)
    core = (log.probability - world.floor / world.candidates) / (1 - world.floor)
    return replace(
        bare,
        features=np.column_stack([bare.features, (known - known.mean()) / known.std()]),
        columns=(*bare.columns, SMALL.name),
        serves=(*bare.serves, SMALL.name),
        log_anchor=np.log(np.maximum(core, 1e-300)),
        champion=log.probability,
        rewards=np.column_stack([bare.rewards, known[log.shown]]),
        q=np.column_stack([bare.q, known]),
        objectives=(*bare.objectives, SMALL),
    )
