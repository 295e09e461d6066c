"""The demonstration world: fitted on eight nights, judged by the truth on the last four.

Every policy is greedy by its score, with the floor of the settings, but for the logger, which is as
it is, and the oracle, which is greedy by the truth itself. Each contender of ours and each peer is
fitted on the log of the fit nights, and which one is served is chosen by ``mrlm.learners.choice``
on that log alone: ours on each log anew, and a peer's settings likewise where they are cheap to
try, else on the demonstration's own log (seed 20261109) once for all.

20 seeds of the logger; users, films and our models' seed stay. Quick: 2 seeds, 110 users and the
hashing encoder, where the full form has the demonstration's transformer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks._clock import Clock
from benchmarks._demonstration import (
    FIT_NIGHTS,
    QUICK_USERS,
    demonstration,
    nights_of,
    seeds,
    settings,
)
from benchmarks.learners._comparison import LOGGER, ORACLE, Values, by_user, rows_by_user
from benchmarks.learners._finished import finished
from benchmarks.learners._ours import fitted, heads, learned, scores_of
from benchmarks.learners._peers.field import ITEM_MEAN, field, fitted_peer, sample_of, tuned_peers
from benchmarks.rows import Row
from mrlm.bandit_log.objectives import north_star
from mrlm.learners.choice import ExpectedReward, LearnedScore, choose
from mrlm.meta.training_weights.first_weights import first_weights
from mrlm.policies.greedy import greedy_with_floor

SEEDS, QUICK_SEEDS = 20, 2
LIFT = 1.20
CHOSEN = "ours, chosen by the log"


def run(quick: bool) -> list[Row]:
    """True values of all policies, ours against each peer, and the lift over the item mean's."""
    kept = finished(__name__)
    users = QUICK_USERS if quick else None
    settings_of = kept.of(["peers", users or 0], lambda: tuned_peers(users))
    cells = [
        kept.of(["demonstration", users or 0, seed], partial(cell, seed, settings_of, users))
        for seed in seeds(QUICK_SEEDS if quick else SEEDS)
    ]
    return _rows(cells, settings_of, judged=not quick)


def cell(seed: int, settings_of: Mapping[str, str], users: int | None) -> dict[str, Any]:
    """All policies under one seed: true value by user, what was chosen, and the time."""
    clock = Clock()
    world = demonstration(seed, users)
    nights = nights_of(world)
    fit, judged = world.on_nights(nights[:FIT_NIGHTS]), world.on_nights(nights[FIT_NIGHTS:])
    clock.lap("world")
    sample = sample_of(fit.log)
    clock.lap("reward model and sample")
    of, star = settings(), north_star(fit.log.objectives).name
    contenders: list[ExpectedReward | LearnedScore] = [
        *heads(sample.reward_model.heads, star),
        *learned({star: 1.0}, of.learning, of.seed, "north star alone"),
    ]
    choice = choose(sample, contenders, of.learning.floor)
    clock.lap("choice")
    first = first_weights(fit.log, sample.reward_model, of.tuning, of.seed)
    also = learned(first, of.learning, of.seed, "a first night's weights")
    served = {c.name: fitted(c, sample) for c in [*contenders, *also]}
    clock.lap("learners")
    for name in field():
        served[name] = fitted_peer(name, fit.log, sample, settings_of)
        clock.lap(name)
    scores = scores_of(sample.reward_model, judged.log.decisions, served)
    clock.lap("scores of the judged nights")
    offsets, floor = judged.log.decisions.offsets, of.learning.floor
    policies = {name: greedy_with_floor(s, offsets, floor) for name, s in scores.items()}
    policies[CHOSEN] = policies[choice.chosen]
    policies[LOGGER] = judged.log.candidate_propensity
    policies[ORACLE] = greedy_with_floor(judged.truth, offsets, floor)
    return {
        "rows": rows_by_user(judged),
        "sums": {name: by_user(judged, p) for name, p in policies.items()},
        "chosen": choice.chosen,
        "estimates": {n: [e.value, e.standard_error] for n, e in choice.values.items()},
        "improves": choice.improves,
        "seconds": clock.seconds,
    }


def _rows(
    cells: Sequence[Mapping[str, Any]], settings_of: Mapping[str, str], judged: bool
) -> list[Row]:
    values = Values.of(cells)
    star = north_star(settings().objective_tuple).name
    rows = []
    for name in sorted(values.sums, key=values.mean, reverse=True):
        by_seed = values.by_seed(name)
        note = f"{len(cells)} seeds, {by_seed.min():.4f} to {by_seed.max():.4f}"
        note += f"; {settings_of[name]}" if name in settings_of else ""
        rows.append(Row(f"true {star}, {name}", values.mean(name), note=note))
    rows += [values.above(CHOSEN, peer, judged) for peer in field()]
    lifts = {n: values.by_seed(n) - values.by_seed(LOGGER) for n in (CHOSEN, ITEM_MEAN)}
    lift = float(lifts[CHOSEN].mean() / lifts[ITEM_MEAN].mean())
    each = lifts[CHOSEN] / lifts[ITEM_MEAN]
    chosen = [cell["chosen"] for cell in cells]
    parts = cells[0]["seconds"]
    return [
        *rows,
        Row(
            "lift over the logger, ours over the item mean's",
            lift,
            bar=f">= {LIFT:g}",
            holds=lift >= LIFT,
            note=f"{each.min():.3f} to {each.max():.3f}; chosen: "
            + ", ".join(f"{name} {chosen.count(name)} x" for name in sorted(set(chosen))),
        ).where(judged),
        Row(
            "lost by the choice, against the best contender on each log",
            float(np.mean([_lost(cell) for cell in cells])),
            note=f"true {star}, mean over seeds",
        ),
        Row(
            "processor seconds a seed, ours and all peers",
            float(np.mean([sum(cell["seconds"].values()) for cell in cells])),
            note=", ".join(
                f"{part} {np.mean([c['seconds'].get(part, 0.0) for c in cells]):.0f}"
                for part in parts
            ),
        ),
    ]


def _lost(cell: Mapping[str, Any]) -> float:
    rows = sum(cell["rows"].values())
    own = {name: sum(cell["sums"][name]) / rows for name in cell["estimates"]}
    return max(own.values()) - own[cell["chosen"]]
