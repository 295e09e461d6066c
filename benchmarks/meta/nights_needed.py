"""Nights from equal weights to 90 % of what the best weights would gain, where nothing changes.

5 objectives, 3,000 decisions a night with noise 4, a closed loop with the settings of ``drift``:
the gain is what lies between the policy that the first night begins with and the best weights in
hindsight. A night is harmful whose policy is below the one before by more than 2 % of that.

The peer is Bayesian optimisation by BoTorch, which sees of a night the mean north star alone and
tries one arm a night (``_peers.one_arm_a_night``); it is judged by the arm that it would recommend,
not by those that it tries. 'make bench-bayesian' installs it.

20 seeds; quick: 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import nan
from typing import Any

import numpy as np

from benchmarks.meta._finished import finished
from benchmarks.meta._peers.one_arm_a_night import PEER, best_arms
from benchmarks.meta._worlds.loop import nights_of
from benchmarks.meta._worlds.world import RICH, Floats, judge_of, static_world
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
    falls = np.diff(gained, axis=1) < -HARM
    rows = [
        _reached(gained, f"{len(cells)} seeds", MOST),
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
    if not PEER.installed:
        return [*rows, Row("Bayesian optimisation, one arm a night", nan, note=PEER.missing)]
    theirs = np.array(kept.of(["one arm a night", len(cells)], partial(one_arm_a_night, seeds)))
    means = ", ".join(f"{g:.2f}" for g in theirs.mean(axis=0))
    return [*rows, _reached(theirs, f"Bayesian optimisation, one arm a night; shares {means}")]


def _reached(gained: Floats, told: str, most: int | None = None) -> Row:
    """Mean of the nights needed, of shares by seed and night."""
    needed = [_needed(row) for row in gained]
    return Row(
        f"nights to {REACHED:.0%} of the attainable gain" + ("" if most else ", peer"),
        float(np.mean(needed)),
        bar=f"<= {most}" if most else "",
        holds=bool(np.mean(needed) <= most) if most else None,
        note=f"{told}: {needed}; {NIGHTS} stands for later or never",
    )


def cell(seed: int) -> dict[str, Any]:
    """Share of the attainable gain of the policy of each night."""
    found = nights_of(
        static_world(seed, OBJECTIVES, NOISE, RICH),
        settings_of(OURS, reset=True),
        nights=NIGHTS,
        rows=ROWS,
        window=WINDOW,
        seed=seed,
    )
    return {"gained": _gained(seed, found.policies)}


def one_arm_a_night(seeds: Sequence[int]) -> list[list[float]]:
    """The same of what Bayesian optimisation recommends, by seed."""
    worlds = [static_world(seed, OBJECTIVES, NOISE, RICH) for seed in seeds]
    found = best_arms(worlds, seeds, NIGHTS, ROWS)
    return [_gained(seed, policies) for seed, policies in zip(seeds, found, strict=True)]


def _gained(seed: int, policies: Floats) -> list[float]:
    judge = judge_of("rich", seed, OBJECTIVES)
    values = np.array([judge.of_policy(policy, 0) for policy in policies])
    best = judge.of_weights(judge.best([0]), 0)
    found: list[float] = ((values - values[0]) / (best - values[0])).tolist()
    return found


def _needed(gained: Any) -> int:
    reached = np.flatnonzero(gained >= REACHED)
    return int(reached[0]) if len(reached) else NIGHTS
