"""Does the prediction interval cover the next night's truth, under weekdays and random nights?

Nights with effects of their own and users who return with their taste; clicks under a uniform
logger over 5 items, the target always the first. Full form 2,000 worlds a row, some minutes; quick
form 150.
"""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Row
from mrlm.ope import EvaluationState
from mrlm.ope.estimators.snips import SNIPS
from mrlm.ope.intervals import estimates
from mrlm.ope.nights.tomorrow import next_night
from mrlm.ope.table import LoggedTable

BAR = 0.93
ITEMS = 5
USERS = 800
RATE = 0.2
WEEK = np.array([0.9, 0.95, 0.95, 0.95, 1.0, 1.15, 1.1])


def world(
    seed: int, nights: int, deviation: float, weekdays: bool
) -> tuple[dict[str, EvaluationState], float]:
    """States of the nights, and the true value of the next one."""
    g = np.random.default_rng(seed)
    taste = g.gamma(4.0, 0.25, USERS)
    effect = 1 + deviation * g.normal(size=nights + 1)
    if weekdays:
        effect = effect * WEEK[(np.arange(nights + 1) + g.integers(7)) % 7]
    found = {}
    for t in range(nights):
        here = np.flatnonzero(g.random(USERS) < 0.5)
        user = np.repeat(here, 4)
        rows = len(user)
        action = g.integers(0, ITEMS, rows)
        rate = np.clip(RATE * effect[t] * taste[user], 0, 1)
        table = LoggedTable(
            cluster=user,
            target=(action == 0).astype(float),
            propensity=np.full(rows, 1 / ITEMS),
            rewards=(g.random(rows) < rate).astype(float)[:, None],
            objectives=("click",),
        )
        found[str(t)] = EvaluationState.of(SNIPS()(table))
    return found, float(RATE * effect[nights])


def run(quick: bool) -> list[Row]:
    """Coverage of the next night's truth, and that of last night's interval beside it."""
    worlds = 150 if quick else 2000
    error = float(np.sqrt(0.95 * 0.05 / worlds))
    rows = []
    settings = (
        ("random nights of 10 %, 14 nights", 14, 0.1, False, None, None),
        ("random nights of 5 %, 28 nights", 28, 0.05, False, None, None),
        ("no night effects, 14 nights", 14, 0.0, False, None, None),
        ("weekdays and random nights of 5 %, 28 nights, season of 7", 28, 0.05, True, 7, None),
        ("weekdays and random nights of 5 %, 28 nights, no season", 28, 0.05, True, None, None),
        ("random nights of 10 %, 2 recent nights and 6 earlier", 8, 0.1, False, None, 2),
        ("random nights of 10 %, 1 recent night and 3 earlier", 4, 0.1, False, None, 1),
    )
    for name, nights, deviation, weekdays, season, recent in settings:
        covered = old = 0
        width = []
        for seed in range(worlds):
            states, truth = world(seed, nights, deviation, weekdays)
            found = next_night(states, season=season, recent=recent)["click"]
            covered += found.lower <= truth <= found.upper
            width.append(found.upper - found.lower)
            last = estimates(states[str(nights - 1)])["click"]
            old += last.lower <= truth <= last.upper
        share = covered / worlds
        rows.append(
            Row(
                f"next night's truth covered: {name}",
                share,
                bar=f">= {BAR:g}" + (", 3 Monte Carlo errors allowed" if quick else ""),
                holds=share >= BAR - (3 * error if quick else 0.0),
                note=f"{worlds} worlds, Monte Carlo error {error:.4f}; mean width "
                f"{np.mean(width):.4f}; last night's own interval covers {old / worlds:.3f}",
            )
        )
    return rows
