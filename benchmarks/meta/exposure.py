"""A floor on who is shown, in a closed loop: small providers' items get their share of shows.

One in five candidates is of a small provider, whatever it brings: without a floor they get a fifth
of the shows, and the floor asks for .28. 5 objectives, 6,000 decisions a night with noise 4; a
champion of equal weights, whose nights are each tuned on and served as they are chosen. The feature
of the small providers' items is there in both loops, with the floor and without.

Exposure and north star are the true ones on fresh contexts; what the floor costs is the share of
the other loop's north star over uniform shows. 10 seeds of 8 nights; quick: 1 seed.

The same of a floor on the effective number of providers, in a world whose small providers are worse
(``_providers``): 10 of 12 providers, which is more than uniform shows have. Beside it a bonus for
rarity that is put on top of the free loop's policy by hand, as large as the night's log says that
the number needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.meta._finished import finished
from benchmarks.meta._worlds.night import Floats, equal_policy, fitted, problem_of
from benchmarks.meta._worlds.providers import TARGET as NUMBER
from benchmarks.meta._worlds.providers import loop
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
FREE, FLOOR, BY_HAND = "free", "floor", "by_hand"
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
    """Nights to the target, and what it costs, of a mean and of an effective number."""
    kept = finished(__name__)
    seeds = range(QUICK_SEEDS if quick else SEEDS)
    means = [kept.of([seed], partial(cell, seed)) for seed in seeds]
    numbers = [
        kept.of(["providers", seed], partial(loop, seed, OBJECTIVES, NOISE, ROWS, NIGHTS))
        for seed in seeds
    ]
    return [*_of_means(means), *_of_numbers(numbers)]


def _of_means(cells: list[dict[str, dict[str, list[float]]]]) -> list[Row]:
    exposure = np.array([c[FLOOR]["exposure"] for c in cells])
    free, floor = (np.array([c[name]["value"][-1] for c in cells]) for name in (FREE, FLOOR))
    reached = _reached(np.abs(exposure - TARGET) <= WITHIN)
    cost = 1 - float(floor.sum() / free.sum())
    before = np.mean([c[FREE]["exposure"][-1] for c in cells])
    note = f"at the end {exposure[:, -1].mean():.3f}, without a floor {before:.3f}"
    return [
        _nights(f"exposure: nights until it stays within {WITHIN:g} of {TARGET:g}", reached, note),
        _cost("exposure", cost, "of the north star over uniform shows, after the last night"),
    ]


def _of_numbers(cells: list[dict[str, dict[str, list[float]]]]) -> list[Row]:
    number = np.array([c[FLOOR]["number"] for c in cells])
    free, floor, by_hand = (
        np.array([c[name]["value"][-1] for c in cells]) for name in (FREE, FLOOR, BY_HAND)
    )
    reached = _reached(np.abs(number / NUMBER - 1) <= WITHIN)
    before, beside = (np.mean([c[n]["number"][-1] for c in cells]) for n in (FREE, BY_HAND))
    cost, other = 1 - float(floor.sum() / free.sum()), 1 - float(by_hand.sum() / free.sum())
    name = "effective providers"
    note = (
        f"small providers are worse; at the end {number[:, -1].mean():.2f}, without a floor "
        f"{before:.2f}"
    )
    hand = f"peer: a bonus by hand on top of the free policy, at {beside:.2f} providers"
    return [
        _nights(f"{name}: nights until they stay within {WITHIN:.0%} of {NUMBER:g}", reached, note),
        _cost(name, cost, hand, other),
    ]


def _nights(measure: str, reached: list[int], note: str) -> Row:
    slowest = max(reached)
    return Row(
        f"{measure}, the slowest seed",
        slowest,
        bar=f"<= {NIGHTS}",
        holds=slowest <= NIGHTS,
        note=f"{len(reached)} seeds; {note}",
    )


def _cost(name: str, cost: float, note: str, peer: float | None = None) -> Row:
    return Row(
        f"{name}: share of the value that the floor costs",
        cost,
        peer=peer,
        bar=f"<= {COST:g}",
        holds=cost <= COST,
        note=note,
    )


def _reached(there: NDArray[np.bool_]) -> list[int]:
    """The first night from which on it stays there, of every row."""
    nights = [int(np.cumprod(row[::-1]).sum()) for row in there]
    return [NIGHTS + 1 - n for n in nights]


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
