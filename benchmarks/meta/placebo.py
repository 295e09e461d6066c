"""Outcomes that belong to somebody else must move nothing.

Whole users exchange what they did, objectives and north star together, before anything is fitted on
the log: what was shown then says nothing of what happened. 1,500 decisions with noise 4, 8
objectives, a champion of equal weights from an earlier, true log; heads are cross-fitted on the
exchanged log.

1,000 runs, a new world each; quick: 100.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.meta._finished import short_runs
from benchmarks.meta._worlds.night import equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, static_world
from benchmarks.rows import Row
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.worlds.weighing import WeighingLog

OBJECTIVES, ROWS, NOISE = 8, 1500, 4.0
RUNS, QUICK_RUNS = 1000, 100
BAR = 0.94


def run(quick: bool) -> list[Row]:
    """Share of runs without an update."""
    cells = short_runs(__name__, cell, QUICK_RUNS if quick else RUNS)
    rows = []
    for name, judged in (("ours", True), ("own head", False), ("uncorrected", False)):
        stayed = float(np.mean([not c[name] for c in cells]))
        rows.append(
            Row(
                f"placebo: no update, {_TITLES[name]}",
                stayed,
                bar=f">= {BAR:g}",
                holds=stayed >= BAR,
                note=f"{len(cells)} runs",
            ).where(judged)
        )
    return rows


_TITLES = {
    "ours": "ours",
    "own head": "ours, with the north star's own head",
    "uncorrected": "uncorrected bound",
}


def cell(seed: int) -> dict[str, bool]:
    """Whether each way moved."""
    world, rng = static_world(seed, OBJECTIVES, NOISE), np.random.default_rng([seed, 9])
    champion = equal_policy(fitted([world.log(ROWS, None, 0, rng)]))
    log = exchanged(world.log(ROWS, champion, 0, rng), rng)
    problem = problem_of(world, [log], champion)
    with_head = problem_of(world, [log], champion, own_head=True)
    settings = TuningSettings(least_entropy=LEAST_ENTROPY)
    uncorrected = settings.model_copy(update={"strategy": "normal_bound"})
    return {
        "ours": tune(problem, settings).moved,
        "own head": tune(with_head, settings).moved,
        "uncorrected": tune(problem, uncorrected).moved,
    }


def exchanged(log: WeighingLog, rng: np.random.Generator) -> WeighingLog:
    """The log where each user has the outcomes of another, who made as many decisions."""
    counts = np.bincount(log.user)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    source = np.arange(len(log.user))
    for size in np.unique(counts):
        users = np.flatnonzero(counts == size)
        other = rng.permutation(users)
        for step in range(size):
            source[first[users] + step] = first[other] + step
    return replace(log, rewards=log.rewards[source], north_star=log.north_star[source])
