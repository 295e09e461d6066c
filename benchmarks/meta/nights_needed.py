"""Nights from equal weights to 90 % of what the best weights would gain, where nothing changes.

5 objectives, 3,000 decisions a night with noise 4, a closed loop with the settings of ``drift``:
the gain is what lies between the policy that the first night begins with and the best weights in
hindsight. A night is harmful whose policy is below the one before by more than 2 % of that.

20 seeds; quick: 4.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.meta._finished import finished
from benchmarks.meta._loop import nights_of
from benchmarks.meta._world import RICH, judge_of, static_world
from benchmarks.meta.drift import OURS, WINDOW, settings_of
from benchmarks.rows import Row

OBJECTIVES, ROWS, NOISE, NIGHTS = 5, 3000, 4.0, 10
SEEDS, QUICK_SEEDS = 20, 4
REACHED, HARM = 0.9, 0.02
MOST, HARMFUL = 3, 0.025


def run(quick: bool) -> list[Row]:
    """Mean of the nights needed, and the share of harmful nights."""
    kept = finished(__name__)
    seeds = range(QUICK_SEEDS if quick else SEEDS)
    cells = [kept.of([seed], partial(cell, seed)) for seed in seeds]
    gained = np.array([c["gained"] for c in cells])
    needed = [_needed(row) for row in gained]
    falls = np.diff(gained, axis=1) < -HARM
    return [
        Row(
            f"nights to {REACHED:.0%} of the attainable gain",
            float(np.mean(needed)),
            bar=f"<= {MOST}",
            holds=bool(np.mean(needed) <= MOST),
            note=f"{len(cells)} seeds: {needed}; {NIGHTS} stands for later or never",
        ),
        Row(
            "share of the attainable gain after each night",
            float(gained[:, -1].mean()),
            note=", ".join(f"{g:.2f}" for g in gained.mean(axis=0)),
        ),
        Row(
            "harmful nights",
            float(falls.mean()),
            bar=f"<= {HARMFUL:g}",
            holds=bool(falls.mean() <= HARMFUL),
            note=f"{int(falls.sum())} of {falls.size}",
        ),
    ]


def cell(seed: int) -> dict[str, Any]:
    """Share of the attainable gain of the policy of each night."""
    world, judge = static_world(seed, OBJECTIVES, NOISE, RICH), judge_of("rich", seed, OBJECTIVES)
    found = nights_of(
        world,
        settings_of(OURS, reset=True),
        nights=NIGHTS,
        rows=ROWS,
        window=WINDOW,
        seed=seed,
    )
    values = np.array([judge.of_policy(policy, 0) for policy in found.policies])
    best = judge.of_weights(judge.best([0]), 0)
    return {"gained": ((values - values[0]) / (best - values[0])).tolist()}


def _needed(gained: Any) -> int:
    reached = np.flatnonzero(gained >= REACHED)
    return int(reached[0]) if len(reached) else NIGHTS
