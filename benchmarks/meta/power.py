"""What an honest bound realises with few decisions, beside a split of them.

3,000 decisions in all, noise 8, 8 objectives, logged by equal weights of heads that were fitted on
an earlier log. Ours searches on all of them and moves where its bound is above 0. The split
searches on the users of one half, with one standard error of caution, and moves where the one-sided
95 % bound of the point that it chose is above 0 on the other half. What is not moved realises 0.

200 runs, a new world each; quick: 40.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from benchmarks.meta._finished import short_runs
from benchmarks.meta._worlds.night import equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, judge_of, static_world
from benchmarks.rows import Row
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.strategies.pessimistic_bound import searched
from mrlm.meta.tune import tune

OBJECTIVES, ROWS, NOISE = 8, 3000, 8.0
RUNS, QUICK_RUNS = 200, 40
BAR, HARM = 1.5, 0.02


def run(quick: bool) -> list[Row]:
    """Mean realised gain of ours and of the split."""
    cells = short_runs(__name__, cell, QUICK_RUNS if quick else RUNS)
    ours, split = (np.array([c[name] for c in cells]) for name in ("ours", "split"))
    less = ours - BAR * split
    error = float(less.std(ddof=1) / np.sqrt(len(less)))
    return [
        Row(
            "3,000 decisions: realised gain, share of what equal weights leave",
            float(ours.mean()),
            float(split.mean()),
            bar=f">= {BAR:g} x",
            holds=bool(ours.mean() >= BAR * split.mean()),
            note=f"{len(cells)} runs; beside a half/half split; ours less {BAR:g} x the split "
            f"{less.mean():+.4f}, standard error {error:.4f}; moved {np.mean(ours != 0):.2f} and "
            f"{np.mean(split != 0):.2f}; harmful {np.mean(ours < -HARM):.3f} and "
            f"{np.mean(split < -HARM):.3f}",
        )
    ]


def cell(seed: int) -> dict[str, float]:
    """True lift of what each way serves, over what lies between the champion and the best."""
    world, judge = static_world(seed, OBJECTIVES, NOISE), judge_of("static", seed, OBJECTIVES)
    rng = np.random.default_rng([seed, 8])
    heads = fitted([world.log(ROWS, None, 0, rng)])
    champion = equal_policy(heads)
    problem = problem_of(world, [world.log(ROWS, champion, 0, rng)], champion, heads)
    settings = TuningSettings(least_entropy=LEAST_ENTROPY)
    whole = tune(problem, settings)
    first = problem.cluster < np.median(problem.cluster)
    search, judged = (
        TuningTask.of(problem.rounds(np.flatnonzero(half)), settings) for half in (first, ~first)
    )
    step = searched(search, 1.0, None, 0)
    accepted = step.bound > 0 and judged.target.lift(step.point, float(ndtri(0.95))).lower > 0
    base = judge.of_policy(champion, 0)
    room = judge.of_weights(judge.best([0]), 0) - base

    def gain(point: np.ndarray[tuple[int], np.dtype[np.float64]], moved: bool) -> float:
        policy = heads.policy(point, champion)
        return (judge.of_policy(policy, 0) - base) / room if moved else 0.0

    return {"ours": gain(whole.point, whole.moved), "split": gain(step.point, accepted)}
