"""Hyper-parameters searched with the record of other nights, against a random order.

64 settings: half-life, confidence and kept bound of the meta-update, four values each. A task is a
night after six others, 5 objectives, in a world whose weights turn by ``DRIFTS`` of their way a
night and are then the night's; ``SIZES`` decisions a night, of which ``DENSITIES`` have a known
north star. Each setting tunes the weights on the six nights; its score is what the seventh night's
log says of them, and its truth their true gain on that night, as a share of what lies between the
champion (a quarter as sharp as equal weights are elsewhere) and the best weights.

The record of a task holds scores alone, of ``RECORDED`` settings in a random order, as nights of
unseeded searches leave it. Tasks are split into six: each sixth is searched in the order that the
record of the other five makes. Trials are counted until one is within .01 of the best of the 64;
the peer is the expected number in a random order.

30 tasks; quick: 6.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.meta._finished import finished
from benchmarks.meta._worlds.night import equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, RICH, Judge
from benchmarks.rows import Row
from mrlm.meta.hyperparameters.hyperparameter_record import SearchedNight, Trial
from mrlm.meta.hyperparameters.hyperparameter_space import HyperparameterSpace
from mrlm.meta.hyperparameters.night_conditions import Conditions
from mrlm.meta.hyperparameters.prequential import PrequentialScores
from mrlm.meta.hyperparameters.seeding_model import seeded_order
from mrlm.meta.settings import TuningSettings
from mrlm.worlds.weighing import NorthStarPath, drawn_weighing

OBJECTIVES, NOISE, BEFORE = 5, 3.0, 6
DRIFTS, SIZES, DENSITIES = (0.0, 0.1, 0.25, 0.5), (100, 200, 400, 800), (0.25, 0.5, 1.0)
TASKS, QUICK_TASKS, FOLDS, RECORDED = 30, 6, 6, 16
NEAR, SHARE = 0.01, 1 / 3
SETTINGS = TuningSettings(
    hyperparameters=("half_life", "confidence", "kept_bound"),
    least_entropy=LEAST_ENTROPY,
    least_effective_rows=50,
)
SPACE = HyperparameterSpace.around(SETTINGS)


def run(quick: bool) -> list[Row]:
    """Median trials until a setting is nearly the best."""
    kept = finished(__name__)
    seeds = range(QUICK_TASKS if quick else TASKS)
    cells = [kept.of([seed], partial(cell, seed)) for seed in seeds]
    return rows_of(cells)


def rows_of(cells: list[dict[str, Any]]) -> list[Row]:
    """Rows of finished tasks."""
    seeded = [_trials(at, cells) for at in range(len(cells))]
    good = [_near(c).sum() for c in cells]
    unseeded = [(len(SPACE.settings()) + 1) / (int(g) + 1) for g in good]
    ours, peer = float(np.median(seeded)), float(np.median(unseeded))
    return [
        Row(
            f"trials to within {NEAR:g} of the best setting",
            ours,
            peer,
            bar=f"<= {SHARE:.2f} x",
            holds=ours <= SHARE * peer,
            note=f"peer: random order, expected; medians of {len(cells)} tasks; seeded {seeded}, "
            f"near the best {[int(g) for g in good]} of {len(SPACE.settings())}",
        ),
        Row(
            "the same, mean over tasks",
            float(np.mean(seeded)),
            float(np.mean(unseeded)),
            note="peer: random order, expected",
        ),
    ]


def cell(seed: int) -> dict[str, Any]:
    """Conditions, scores and truth of every setting on one task."""
    rng = np.random.default_rng([seed, 23])
    path = _path(float(rng.choice(DRIFTS)), rng)
    rows, density = int(rng.choice(SIZES)), float(rng.choice(DENSITIES))
    world = drawn_weighing(path, NOISE, rng)
    heads = fitted([world.log(3000, None, 0, rng)])
    champion = equal_policy(heads) / 4
    logs = [world.log(rows, champion, night, rng) for night in range(BEFORE + 1)]
    problem = problem_of(world, logs, champion, heads)
    rewards = problem.rewards.copy()
    rewards[rng.random(len(rewards)) >= density, -1] = np.nan
    scores = PrequentialScores(replace(problem, rewards=rewards), SETTINGS, SPACE, seed)
    judge, own = Judge.of(world, seed), SPACE.of(SETTINGS)
    before = judge.of_policy(champion, BEFORE)
    best = judge.of_weights(judge.best([BEFORE]), BEFORE)
    policies = [heads.policy(scores.point(s, 0), champion) for s in SPACE.settings()]
    return {
        "conditions": asdict(Conditions.of(scores.problem, SETTINGS)),
        "trials": [asdict(scores.trial(s, own, [0])) for s in SPACE.settings()],
        "truth": [(judge.of_policy(p, BEFORE) - before) / (best - before) for p in policies],
    }


def _path(drift: float, rng: np.random.Generator) -> NorthStarPath:
    """Weights that turn from one direction to another, which they reach on the last night."""
    first, last = rng.dirichlet(np.full(OBJECTIVES, 0.5), 2)
    left = np.clip(drift * np.arange(BEFORE + 1)[::-1, None], 0, 1)
    weights = left * first + (1 - left) * last
    return NorthStarPath(RICH * weights / np.linalg.norm(weights, axis=1, keepdims=True))


def _near(found: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    truth = np.array(found["truth"])
    return np.asarray(truth >= truth.max() - NEAR)


def _trials(at: int, cells: list[dict[str, Any]]) -> int:
    """Trials in the order that the other folds' record makes."""
    record = [_recorded(c, j) for j, c in enumerate(cells) if j % FOLDS != at % FOLDS]
    order = seeded_order(SPACE, record, Conditions(**cells[at]["conditions"]), at)
    near = dict(zip(SPACE.settings(), _near(cells[at]), strict=True))
    return 1 + next(j for j, setting in enumerate(order) if near[setting])


def _recorded(found: dict[str, Any], task: int) -> SearchedNight:
    """What an unseeded night leaves: scores of some settings."""
    some = np.random.default_rng([task, 24]).permutation(len(found["trials"]))[:RECORDED]
    trials = tuple(Trial(**found["trials"][j]) for j in some)
    return SearchedNight(str(task), Conditions(**found["conditions"]), trials, {})
