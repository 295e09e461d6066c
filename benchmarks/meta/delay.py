"""A north star that comes late: what early rewards on open nights add, and what they may cost.

The lift of one policy over the champion, by 600 decisions whose north star is known and 4,000 whose
north star is open, all written by the champion; 5 objectives, observed at once. In four worlds the
north star follows from what was observed: well (60 % of its variance around its expectation),
weakly (10 %), not at all, or well and besides by a direct effect of state and item that no early
reward carries. Beside ours stands the same estimate without open decisions, and the surrogate on
the open decisions alone. Heads are fitted once on other decisions. True lifts come from 100,000
fresh contexts, whose own error is a few thousandths of the spread that is measured.

2,000 repetitions in each world; quick: 40, too few to judge a coverage by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from benchmarks.meta._finished import short_runs
from benchmarks.meta._worlds.night import Floats, Heads, equal_policy, fitted, problem_of
from benchmarks.rows import Row
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.power_tuned_lift import power_tuned
from mrlm.meta.problem.surrogate import surrogate
from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.worlds.weighing import LateNorthStar, late_north_star, softmax_with_floor

OBJECTIVES, KNOWN, OPEN = 5, 600, 4000
RUNS, QUICK_RUNS = 2000, 40
WORLDS = {
    "good": {"through": 1.0, "direct": 0.0, "told": 0.6},
    "weak": {"through": 1.0, "direct": 0.3, "told": 0.1},
    "useless": {"through": 0.0, "direct": 1.0, "told": 0.0},
    "direct effect": {"through": 1.0, "direct": 1.0, "told": 0.6},
}
GOOD, ANY, COVERAGE, LEVEL = 0.75, 1.03, 0.88, 0.9
_Z = float(ndtri((1 + LEVEL) / 2))
_CONTEXTS, _AT_ONCE = 100_000, 10_000


@dataclass(frozen=True)
class Asked:
    """One world and the policy whose lift is asked for.

    Attributes:
        world: that writes the logs.
        champion: coefficients of its logit, which wrote them.
        heads: fitted on other decisions.
        point: of the policy, over these heads.
        truth: its true lift.
    """

    world: LateNorthStar
    champion: Floats
    heads: Heads
    point: Floats
    truth: float


def run(quick: bool) -> list[Row]:
    """Errors beside those of the known decisions alone, and how often the interval holds."""
    cells = short_runs(__name__, cell, QUICK_RUNS if quick else RUNS)
    rows = []
    for name in WORLDS:
        found = {key: np.array([c[name][key] for c in cells]) for key in cells[0][name]}
        ours, known = (_error(found[key]) for key in ("ours", "known"))
        bar = GOOD if name == "good" else ANY
        rows.append(
            Row(
                f"late north star, {name} surrogate: error beside known decisions alone",
                ours,
                known,
                bar=f"<= {bar:g} x",
                holds=ours <= bar * known,
                note=f"{len(cells)} runs, root mean square; bias {found['ours'].mean():+.4f}, of "
                f"the surrogate alone {found['surrogate'].mean():+.4f}; true lift "
                f"{asked(name).truth:.4f}; share {found['share'].mean():.2f}",
            )
        )
        holds = float(found["held"].mean())
        rows.append(
            Row(
                f"late north star, {name} surrogate: coverage of the 90 % interval",
                holds,
                float(found["known held"].mean()),
                bar=f">= {COVERAGE:g}",
                holds=holds >= COVERAGE,
                note="beside it the interval of the known decisions alone",
            ).where(not quick)
        )
    return rows


def cell(seed: int) -> dict[str, dict[str, float]]:
    """One repetition in each world: errors, and whether the intervals hold."""
    return {
        name: _repetition(asked(name), np.random.default_rng([seed, k, 11]))
        for k, name in enumerate(WORLDS)
    }


@lru_cache(maxsize=len(WORLDS))
def asked(name: str) -> Asked:
    """A world, drawn once."""
    rng = np.random.default_rng([list(WORLDS).index(name), 10])
    world = late_north_star(OBJECTIVES, rng, **WORLDS[name])  # type: ignore[arg-type]
    heads = fitted([world.log(KNOWN, None, rng)])
    champion = equal_policy(heads)
    heads = fitted([world.log(KNOWN, champion, rng)])
    weights = world.through + world.direct.path.on(0)
    point = np.concatenate([[0.5], 2.0 * weights / weights.sum()])
    return Asked(
        world, champion, heads, point, _truth(world, heads.policy(point, champion), champion, rng)
    )


def _truth(
    world: LateNorthStar, policy: Floats, champion: Floats, rng: np.random.Generator
) -> float:
    found = []
    k, floor = world.direct.candidates, world.direct.floor
    for _ in range(_CONTEXTS // _AT_ONCE):
        pair, means = world.direct.contexts(_AT_ONCE, rng)
        less = [softmax_with_floor(pair @ logit, k, floor) for logit in (policy, champion)]
        found.append(float((less[0] - less[1]) @ world.expected(means)) / _AT_ONCE)
    return float(np.mean(found))


def _repetition(given: Asked, rng: np.random.Generator) -> dict[str, float]:
    logs = [given.world.log(n, given.champion, rng) for n in (KNOWN, OPEN)]
    problem = problem_of(given.world.direct, logs, given.champion, given.heads)
    late = problem.age == 0
    star = len(problem.objectives) - 1
    rewards = problem.rewards.copy()
    rewards[late, star] = np.nan
    problem = replace(problem, rewards=rewards, open=late)
    policy = TunedSoftmax(problem)
    known = PairedLift(problem, policy, rewards[:, star], problem.q[:, star], "known")
    ours = power_tuned(problem, policy, star, known)
    told = surrogate(problem, star)
    assert ours is not None
    assert told is not None
    alone = PairedLift(
        problem, policy, np.where(late, told, np.nan), problem.q[:, star], "surrogate"
    )
    lifts = {
        name: lift.lift(given.point, _Z)
        for name, lift in {"ours": ours, "known": known, "surrogate": alone}.items()
    }
    errors = {name: lift.value - given.truth for name, lift in lifts.items()}
    held = {name: abs(errors[name]) <= _Z * lifts[name].standard_error for name in lifts}
    return {**errors, "share": ours.share, "held": held["ours"], "known held": held["known"]}


def _error(values: Floats) -> float:
    return float(np.sqrt((values**2).mean()))
