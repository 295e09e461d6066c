"""How soon an abrupt change is found, and how often one is found that is none.

At the constants of Env-1 (``benchmarks.meta.drift``), under a policy that stays: the best weights
of the night before the change. 200 worlds; in each the night of the change and the next are tested
as a night tests its newest tune nights against the six before, and so are three nights before the
change, on which only the weekly term moves. Quick: 10 worlds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.meta._finished import finished
from benchmarks.meta._worlds.night import fitted, problem_of
from benchmarks.meta._worlds.world import drifting_world
from benchmarks.meta.drift import OBJECTIVES, OURS, SIGNALS, WINDOW, settings_of
from benchmarks.rows import Row
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.state.change_point import change_point

RUNS, QUICK_RUNS = 200, 10
QUIET = 3
FOUND, FALSE = 0.95, 0.01
_SCALE = 8.0


def run(quick: bool) -> list[Row]:
    """Share of changes that are found within two nights, and alarms on quiet nights."""
    kept = finished(__name__)
    rows = []
    for signal in SIGNALS:
        cells = [
            kept.of([signal, seed], partial(cell, signal, seed))
            for seed in range(QUICK_RUNS if quick else RUNS)
        ]
        rows += _rows(signal, cells)
    return rows


def cell(signal: str, seed: int) -> dict[str, Any]:
    """Whether each tested night raised an alarm: quiet ones, that of the change, the next."""
    of = SIGNALS[signal]
    world = drifting_world(seed, OBJECTIVES, of.noise)
    (change,) = world.path.changes
    rng = np.random.default_rng([seed, 6])
    heads = fitted([world.log(of.rows, None, change - 1, rng)])
    weights = world.path.on(change - 1)
    theta = np.concatenate([[0.0], _SCALE * weights / weights.sum()])
    policy = heads.policy(theta, np.zeros(len(heads.coefficients)))
    first = change - QUIET - WINDOW + 1
    logs = [world.log(of.rows, policy, night, rng) for night in range(first, change + 2)]
    confidence = settings_of(OURS, reset=True).change_confidence or 0.0
    alarms = []
    for newest in range(WINDOW, len(logs) + 1):
        problem = problem_of(world, logs[newest - WINDOW : newest], policy)
        found = change_point(TuningTask.of(problem, settings_of(OURS, reset=True)), confidence)
        alarms.append(found is not None and found.found)
    return {"quiet": alarms[:QUIET], "change": alarms[QUIET:]}


def _rows(signal: str, cells: Sequence[Mapping[str, Any]]) -> list[Row]:
    judged = signal == "higher signal"
    change = np.array([c["change"] for c in cells])
    quiet = np.array([c["quiet"] for c in cells])
    found = float(change.any(axis=1).mean())
    return [
        Row(
            f"{signal}: share of changes found on the same night or the next",
            found,
            bar=f">= {FOUND:g}",
            holds=found >= FOUND,
            note=f"{len(cells)} runs; on the same night {change[:, 0].mean():.3f}",
        ).where(judged),
        Row(
            f"{signal}: alarms a quiet night",
            float(quiet.mean()),
            bar=f"<= {FALSE:g}",
            holds=bool(quiet.mean() <= FALSE),
            note=f"{int(quiet.sum())} on {quiet.size} nights with the weekly term alone",
        ).where(judged),
    ]
