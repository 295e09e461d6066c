"""Where the champion is the best policy already, an update can only harm.

The champion takes the best item by the true bilinear part of the north star, up to its floor, and
writes two logs: one that heads are fitted on, one that is tuned on. 8 objectives; half of the runs
have 1,500 decisions with noise 8, half 6,000 with noise 4. A new world every run.

Harmful is an update whose true lift is below -2 % of what lies between equal and best weights. The
coverage of a bound is the share of runs in which the true lift of the selected point is not below
it. It is told at our own selection, and at that of the search that is most easily fooled: the one
that maximises the uncorrected bound. There the uncorrected bound stands beside ours.

1,000 runs; quick: 100.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.meta._finished import short_runs
from benchmarks.meta._worlds.night import Floats, Heads, fitted, problem_of
from benchmarks.meta._worlds.world import Judge, judge_of, static_world
from benchmarks.rows import Row
from mrlm.meta.search.tuning_result import TuningResult
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.worlds.weighing import WeighingWorld

OBJECTIVES = 8
SIZES = ((1500, 8.0), (6000, 4.0))
RUNS, QUICK_RUNS = 1000, 100
HARM, HARMFUL, COVERAGE = 0.02, 0.025, 0.94
# A logit of this deviation takes the best item but for near-ties.
_SHARP = 32.0


def run(quick: bool) -> list[Row]:
    """Harmful updates, and how often each bound holds."""
    cells = short_runs(__name__, cell, QUICK_RUNS if quick else RUNS)
    rows = [_harmful("ours", cells, "ours", judged=True)]
    rows.append(_harmful("ours, with the north star's own head", cells, "own head", judged=False))
    rows.append(_harmful("uncorrected bound", cells, "uncorrected", judged=False))
    for name, key, bound in (
        ("printed 95 % bound, at our selection", "ours", "printed"),
        ("printed 95 % bound, at the selection of the uncorrected bound", "uncorrected", "printed"),
    ):
        holds = _coverage(cells, key, bound)
        rows.append(
            Row(
                f"coverage of the {name}",
                holds,
                _coverage(cells, "uncorrected", "lower"),
                bar=f">= {COVERAGE:g}",
                holds=holds >= COVERAGE,
                note=f"{len(cells)} runs; beside it the uncorrected bound at its own selection",
            )
        )
    return rows


def optimal(world: WeighingWorld) -> Floats:
    """Coefficients of a policy that takes the best item as far as a bilinear form tells it."""
    weights = np.append(world.path.on(0), world.beyond)
    best = np.tensordot(weights, world.forms, axes=1).reshape(-1)
    found: Floats = _SHARP * best / np.linalg.norm(best)
    return found


def cell(seed: int) -> dict[str, Any]:
    """One run: true lifts, bounds, and whether an update was proposed."""
    rows, noise = SIZES[seed % len(SIZES)]
    world, judge = static_world(seed, OBJECTIVES, noise), judge_of("static", seed, OBJECTIVES)
    champion, rng = optimal(world), np.random.default_rng([seed, 7])
    heads = fitted([world.log(rows, champion, 0, rng)])
    log = world.log(rows, champion, 0, rng)
    room = judge.of_weights(judge.best([0]), 0) - judge.of_weights(judge.equal, 0)
    problem = problem_of(world, [log], champion, heads)
    found = {
        "ours": tune(problem, TuningSettings()),
        "uncorrected": tune(problem, TuningSettings(strategy="normal_bound")),
        "own head": tune(
            problem_of(world, [log], champion, heads, own_head=True), TuningSettings()
        ),
    }
    return {name: _told(result, heads, champion, judge, room) for name, result in found.items()}


def _told(
    result: TuningResult, heads: Heads, champion: Floats, judge: Judge, room: float
) -> dict[str, Any]:
    policy = heads.policy(result.point, champion)
    true = judge.of_policy(policy, 0) - judge.of_policy(champion, 0)
    return {
        "moved": result.moved,
        "true": true / room,
        "printed": result.printed.lower / room,
        "lower": result.lift.lower / room,
    }


def _coverage(cells: list[dict[str, Any]], name: str, bound: str) -> float:
    return float(np.mean([c[name]["true"] >= c[name][bound] for c in cells]))


def _harmful(title: str, cells: list[dict[str, Any]], name: str, judged: bool) -> Row:
    harmful = float(np.mean([c[name]["true"] < -HARM for c in cells]))
    moved = float(np.mean([c[name]["moved"] for c in cells]))
    return Row(
        f"nothing to gain: harmful updates, {title}",
        harmful,
        bar=f"<= {HARMFUL:g}",
        holds=harmful <= HARMFUL,
        note=f"{len(cells)} runs; an update in {moved:.3f}; mean true lift "
        f"{np.mean([c[name]['true'] for c in cells]):+.4f}",
    ).where(judged)
