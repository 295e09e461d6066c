"""Thirty segments that want different things: weights for each, by little of each.

Segments have shares of the traffic in proportion to 1/k; 8 objectives; one log of equal weights.
*Rich* is 40,000 decisions with noise 4 and *poor* 15,000 with noise 8: each weight spreads over
segments by .4 of the north star's size, three quarters of which the segment's three features tell.
*The same* is poor with segments that all want the same. Beside ours: one choice for all (pooled) by
the default strategy; each segment by its own decisions alone, doubly robust with a prediction of
the north star that is fitted on them, or by that prediction alone (plug-in). Segments' choices
maximise the lift less one standard error, the plug-in's the lift itself, within the same limits and
over the same objectives' heads. Ten segments more have no decisions, and are served by their
features alone.

Regret is summed over segments by traffic, of the new ones alike, before it is divided. 20 seeds;
quick: 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.meta._finished import finished
from benchmarks.meta._worlds.night import Floats, equal_policy, fitted, problem_of, ridge
from benchmarks.meta._worlds.world import LEAST_ENTROPY, RICH, Judge
from benchmarks.rows import Row
from mrlm.meta.problem.coefficient_sums import coefficient_sums
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.segments.coefficient_model import coefficient_model
from mrlm.meta.segments.segment_points import CAUTION_Z, segment_point
from mrlm.meta.settings import TuningSettings
from mrlm.meta.strategies.pessimistic_bound import searched
from mrlm.meta.tune import tune
from mrlm.worlds.weighing import SegmentedWorld, WeighingLog, segmented

OBJECTIVES = 8
SEEDS, QUICK_SEEDS = 20, 1
OF_INDEPENDENT, ABOVE_POOLED, OF_POOLED = 0.6, 0.08, 0.5
SETTINGS = TuningSettings(least_entropy=LEAST_ENTROPY, least_effective_rows=1)
OURS, POOLED, INDEPENDENT, PLUG_IN = "ours", "pooled", "independent", "plug-in"


@dataclass(frozen=True)
class Cell:
    """A size of log: decisions, noise, and how far segments are apart."""

    rows: int
    noise: float
    apart: float


CELLS = {
    "rich": Cell(40_000, 4.0, 0.4),
    "poor": Cell(15_000, 8.0, 0.4),
    "the same": Cell(15_000, 8.0, 0.0),
}


def run(quick: bool) -> list[Row]:
    """Regret in each kind of world."""
    kept = finished(__name__)
    seeds = range(QUICK_SEEDS if quick else SEEDS)
    rows: list[Row] = []
    for name in CELLS:
        cells = [kept.of([name, seed], partial(cell, name, seed)) for seed in seeds]
        regret = {key: np.array([c[key] for c in cells]) for key in cells[0]}
        rows += _rows(name, regret)
    return rows


def cell(name: str, seed: int) -> dict[str, float]:
    """Regret by what chose, over the segments with traffic and over the new ones."""
    of = CELLS[name]
    rng = np.random.default_rng([seed, 12])
    world = segmented(OBJECTIVES, of.noise, rng, size=RICH, apart=of.apart)
    champion = equal_policy(fitted([world.log(of.rows, None, rng)[0]]))
    log, segment = world.log(of.rows, champion, rng)
    heads = fitted([log])
    points = _chosen(world, problem_of(world.common, [log], champion), log, segment)
    judge = Judge.of(world.common, seed)
    seen = np.flatnonzero(world.traffic > 0)
    new = np.flatnonzero(world.traffic == 0)
    value = {
        key: [judge.pair @ heads.policy(point, champion) for point in found]
        for key, found in points.items()
    }
    own = [replace(judge, world=world.of(s)) for s in range(len(world.traffic))]
    best = np.array([j.of_weights(j.best([0]), 0) for j in own])
    equal = np.array([j.of_weights(judge.equal, 0) for j in own])
    found = {}
    for key, logits in value.items():
        got = np.array([j.value(x, j.truth([0])) for j, x in zip(own, logits, strict=False)])
        less = best[: len(got)] - got
        share, room = world.traffic[seen], best - equal
        found[key] = float(share @ less[seen] / (share @ room[seen]))
        if len(got) == len(best):
            found[f"{key}, new"] = float(less[new].sum() / room[new].sum())
    return found


def _chosen(
    world: SegmentedWorld, problem: TuningProblem, log: WeighingLog, segment: NDArray[np.int64]
) -> dict[str, list[Floats]]:
    """Points by what chose them, one a segment."""
    count, seen = len(world.traffic), int((world.traffic > 0).sum())
    star = len(problem.objectives) - 1
    own = [np.flatnonzero(segment == s) for s in range(count)]
    task = TuningTask.of(problem, SETTINGS)
    pooled = tune(problem, SETTINGS).point
    model = coefficient_model(coefficient_sums(problem, task.known, segment, count), world.features)
    points: dict[str, list[Floats]] = {OURS: [], POOLED: [pooled] * count}
    for s in range(count):
        coefficients = (model.mean[s], model.covariance[s])
        points[OURS].append(segment_point(problem, SETTINGS, own[s], coefficients, pooled, s))
    points[INDEPENDENT], points[PLUG_IN] = [], []
    for s in range(seen):
        part = problem.rounds(own[s])
        halves, whole = _own_predictions(problem, log, own[s])
        robust = TuningTask.of(_predicted(part, halves), SETTINGS)
        points[INDEPENDENT].append(searched(robust, CAUTION_Z, pooled, s).point)
        alone = _predicted(part, whole)
        rewards = alone.rewards.copy()
        rewards[:, star] = alone.q[alone.shown, star]
        plain = TuningTask.of(replace(alone, rewards=rewards), SETTINGS)
        points[PLUG_IN].append(searched(plain, 0.0, pooled, s).point)
    return points


def _predicted(problem: TuningProblem, star: Floats) -> TuningProblem:
    """The problem with another prediction of the north star."""
    return replace(problem, q=np.column_stack([problem.q[:, :-1], star]))


def _own_predictions(
    problem: TuningProblem, log: WeighingLog, rows: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """The north star by a segment's rows alone: each half predicted by the other, and by all."""
    k = len(problem.q) // len(problem.propensity)
    pair = log.pair.reshape(-1, k, log.pair.shape[1])[rows].reshape(-1, log.pair.shape[1])
    seen, observed = log.pair[log.shown[rows]], log.north_star[rows]
    half = problem.cluster[rows] % 2 == 1
    by = [ridge(seen[some], observed[some]) for some in (half, ~half, half | ~half)]
    crossed = np.where(np.repeat(half, k), pair @ by[1], pair @ by[0])
    return crossed, pair @ by[2]


def _rows(name: str, regret: dict[str, Floats]) -> list[Row]:
    mean = {key: float(found.mean()) for key, found in regret.items()}
    ours, pooled, independent = mean[OURS], mean[POOLED], mean[INDEPENDENT]
    new, pooled_new = mean[f"{OURS}, new"], mean[f"{POOLED}, new"]
    told = ", ".join(f"{x:.3f}" for x in regret[OURS])
    same, rich = name == "the same", name == "rich"
    rows = [
        Row(
            f"segments, {name}: regret beside each alone, doubly robust",
            ours,
            independent,
            bar=f"<= {OF_INDEPENDENT:g} x",
            holds=ours <= OF_INDEPENDENT * independent,
            note=f"{len(regret[OURS])} seeds: {told}",
        ).where(rich),
        Row(
            f"segments, {name}: regret beside one choice for all",
            ours,
            pooled,
            bar=f"<= + {ABOVE_POOLED:g}",
            holds=ours <= pooled + ABOVE_POOLED,
        ).where(same),
        Row(f"segments, {name}: regret beside each alone, plug-in", ours, mean[PLUG_IN]),
    ]
    rows.append(
        Row(
            f"segments, {name}: regret of new segments, by features alone, beside one choice",
            new,
            pooled_new,
            bar=f"<= {OF_POOLED:g} x",
            holds=new <= OF_POOLED * pooled_new,
        ).where(not same)
    )
    return rows
