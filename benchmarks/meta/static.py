"""One update where nothing changes: 5 objectives, 20,000 decisions logged by equal weights.

What is chosen once, on one log, with noise 4 on the north star: the true regret of ours and of
every other strategy on the same log. Heads are fitted on that log, each half of the users predicted
by the other; the policy that is judged takes heads fitted on all of it. Beside ours stands what the
best weights of those heads would bring, chosen by the truth: that part of the regret is the heads'.

20 seeds; quick: 4.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.meta._finished import finished
from benchmarks.meta._worlds.night import Heads, equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, RICH, Judge, judge_of, static_world
from benchmarks.rows import Row
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import counterfactuals
from mrlm.worlds.weighing import best_weights

SEEDS, QUICK_SEEDS = 20, 4
OBJECTIVES, ROWS, NOISE = 5, 20_000, 4.0
OURS, REGRESSION, HEADS = "pessimistic_bound", "regression_weights", "the best of those heads"
BAR, OF_REGRESSION = 0.02, 0.1


def run(quick: bool) -> list[Row]:
    """Mean regret of each strategy."""
    kept = finished(__name__)
    cells = [
        kept.of([seed], partial(cell, seed)) for seed in range(QUICK_SEEDS if quick else SEEDS)
    ]
    regret = {name: np.array([c[name] for c in cells]) for name in cells[0]}
    ours, other = float(regret[OURS].mean()), float(regret[REGRESSION].mean())
    rows = [
        Row(
            "static world: regret",
            ours,
            bar=f"<= {BAR:g}",
            holds=ours <= BAR,
            note=f"{len(cells)} seeds: {_told(regret[OURS])}",
        ),
        Row(
            "static world: regret beside regression",
            ours,
            other,
            bar=f"<= {OF_REGRESSION:g} x",
            holds=ours <= OF_REGRESSION * other,
        ),
    ]
    for name, found in regret.items():
        if name not in (OURS, REGRESSION):
            rows.append(
                Row(
                    f"static world: regret beside {name}",
                    ours,
                    float(found.mean()),
                    note=_told(found),
                )
            )
    return rows


def cell(seed: int) -> dict[str, float]:
    """True regret by strategy."""
    world, judge = static_world(seed, OBJECTIVES, NOISE, RICH), judge_of("rich", seed, OBJECTIVES)
    rng = np.random.default_rng([seed, 5])
    champion = equal_policy(fitted([world.log(ROWS, None, 0, rng)]))
    log = world.log(ROWS, champion, 0, rng)
    heads = fitted([log])
    best, worst = judge.of_weights(judge.best([0]), 0), judge.of_weights(judge.equal, 0)
    found = {HEADS: (best - _best_of(heads, judge)) / (best - worst)}
    for name, result in counterfactuals(
        problem_of(world, [log], champion), TuningSettings(least_entropy=LEAST_ENTROPY)
    ).items():
        value = judge.of_policy(heads.policy(result.point, champion), 0)
        found[name] = (best - value) / (best - worst)
    return found


def _best_of(heads: Heads, judge: Judge) -> float:
    """True value of the best weights of these heads."""
    truth, world = judge.truth([0]), judge.world
    features = judge.pair @ (heads.coefficients[:, :-1] / heads.scale[:-1])
    weights = best_weights(world, features, truth, world.path.on(0), judge.least_entropy)
    return judge.value(features @ weights, truth)


def _told(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{v:.3f}" for v in values)
