"""Guardrails in the search, and what comes of them once another log has judged.

8 objectives; the one that the north star weighs least is a guardrail, or the two: what is best for
the north star costs them most. A champion of equal weights writes a log that is searched and
another that judges, 3,000 decisions each with noise 4. The margin of a guardrail is 5 standard
errors, those of the champion's mean on the judging log. The search keeps each guardrail's bound at
``search_z`` standard errors within its margin, the judge accepts at ``JUDGE_Z``: one-sided 95 %,
and as much more in the search that a point on every edge is accepted four times of five. Both logs
err, so .84 standard errors of the difference of two logs are 1.19 of one; of two guardrails, which
have to pass together, each gets 1.77. What is refused lifts by 0. *Free* is the same search without
guardrails, served as it is.

Beyond is a true fall, on fresh contexts, of more than the margin. 1,000 runs for each number of
guardrails, a new world each; quick: 20.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from benchmarks.meta._finished import short_runs
from benchmarks.meta._worlds.night import Floats, equal_policy, fitted, problem_of
from benchmarks.meta._worlds.world import LEAST_ENTROPY, RICH, judge_of, static_world
from benchmarks.rows import Row
from mrlm.meta.problem.tuning_problem import TuningProblem
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.settings import TuningSettings
from mrlm.meta.tune import tune
from mrlm.worlds.weighing import softmax_with_floor

OBJECTIVES, ROWS, NOISE = 8, 3000, 4.0
NUMBERS = {1: "one guardrail", 2: "two guardrails"}
RUNS, QUICK_RUNS = 1000, 20
JUDGE_Z, ACCEPTED, MARGIN_ERRORS = 1.645, 0.8, 5.0
BEYOND, BEYOND_TWICE, KEPT = 0.05, 0.005, 0.5


def run(quick: bool) -> list[Row]:
    """How often a guardrail is broken, and what of the free lift is kept."""
    runs = QUICK_RUNS if quick else RUNS
    cells = short_runs(__name__, cell, runs)
    return [row for number in NUMBERS for row in _rows(number, [c[str(number)] for c in cells])]


def search_z(number: int) -> float:
    """Standard errors of each guardrail in the search, of so many that are judged together."""
    return JUDGE_Z + float(np.sqrt(2) * ndtri(ACCEPTED ** (1 / number)))


def _rows(number: int, cells: list[dict[str, float]]) -> list[Row]:
    name = NUMBERS[number]
    told = (
        f"{len(cells)} runs; judged at {JUDGE_Z:g} standard errors, searched at "
        f"{search_z(number):.3g}, "
        f"margin {MARGIN_ERRORS:g}; moved {_mean(cells, 'moved'):.2f}, "
        f"accepted {_mean(cells, 'accepted'):.2f}"
    )
    rows = []
    for times, most in ((1, BEYOND), (2, BEYOND_TWICE)):
        ours, free = (
            float(np.mean([c[key] < -times for c in cells])) for key in ("worst", "free worst")
        )
        rows.append(
            Row(
                f"{name}: beyond {'the margin' if times == 1 else 'twice the margin'}",
                ours,
                free,
                bar=f"<= {most:g}",
                holds=ours <= most,
                note=f"peer: without guardrails; {told}",
            )
        )
    ours, free = _mean(cells, "lift"), _mean(cells, "free lift")
    return [
        *rows,
        Row(
            f"{name}: mean true lift, refused runs 0",
            ours,
            free,
            bar=f">= {KEPT:g} x",
            holds=ours >= KEPT * free,
            note=f"peer: without guardrails; {told}",
        ),
    ]


def cell(seed: int) -> dict[str, dict[str, float]]:
    """Of each number of guardrails what the search came to, and what it does without them."""
    world, judge = static_world(seed, OBJECTIVES, NOISE, RICH), judge_of("rich", seed, OBJECTIVES)
    rng = np.random.default_rng([seed, 13])
    heads = fitted([world.log(ROWS, None, 0, rng)])
    champion = equal_policy(heads)
    searched, judging = (
        problem_of(world, [world.log(ROWS, champion, 0, rng)], champion, heads) for _ in range(2)
    )
    settings = TuningSettings(least_entropy=LEAST_ENTROPY)
    judged = settings.model_copy(update={"guardrail_z": JUDGE_Z})
    free = tune(searched, settings)
    least = [int(j) for j in np.argsort(world.path.on(0))]

    def lifts(point: Floats) -> Floats:
        """True lifts of all objectives and of the north star, its own last, shape (m + 1,)."""
        ours, before = (
            softmax_with_floor(judge.pair @ policy, world.candidates, world.floor)
            for policy in (heads.policy(point, champion), champion)
        )
        more = (ours - before) * world.candidates / len(judge.pair)
        return np.append(more @ judge.means[:, :-1], more @ judge.truth([0]))

    found = {}
    for number in NUMBERS:
        guarded = least[:number]
        bare = TuningTask.of(_with(judging, dict.fromkeys(guarded, 0.0)), judged)
        margins = {
            j: MARGIN_ERRORS * lift.resolution
            for j, lift in zip(sorted(guarded), bare.guardrails, strict=True)
        }
        careful = settings.model_copy(update={"guardrail_z": search_z(number)})
        step = tune(_with(searched, margins), careful)
        verdict = TuningTask.of(_with(judging, margins), judged).guarded(step.point)
        accepted = step.moved and all(g.holds for g in verdict.values())
        told = {"moved": float(step.moved), "accepted": float(accepted)}
        for name, true in (
            ("", lifts(step.point) if accepted else np.zeros(OBJECTIVES + 1)),
            ("free ", lifts(free.point)),
        ):
            told[f"{name}lift"] = float(true[-1])
            told[f"{name}worst"] = min(float(true[j]) / margin for j, margin in margins.items())
        found[str(number)] = told
    return found


def _with(problem: TuningProblem, margins: dict[int, float]) -> TuningProblem:
    """The problem with these objectives, by their places, as guardrails."""
    return replace(
        problem,
        objectives=tuple(
            replace(o, role="guardrail", margin=margins[j]) if j in margins else o
            for j, o in enumerate(problem.objectives)
        ),
    )


def _mean(cells: list[dict[str, float]], name: str) -> float:
    return float(np.mean([c[name] for c in cells]))
