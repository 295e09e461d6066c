"""What weighing rows by propensity, and knowing positions, is worth under a biased logger.

A drawn world whose logger shows users what they would rate highly anyway, and lets what stands low
be overlooked: at position p it is looked at with probability 1 / p. Models learn from four of its
nights and predict uniform shows at the top of the two nights after. The peer counts all rows alike
and knows positions. "Weighed" is ``behaviour.selection_clip``; "without positions" is told that all
rows stood at the top; "asked below" is asked at the positions of the slots and not at the top.

Three seeds; quick: one, 200 users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks._demonstration import version
from benchmarks._kept import Kept
from benchmarks.behaviour._models import HISTORY, PAIR
from benchmarks.behaviour._worlds.biased_world import (
    OFFERED,
    BiasedWorld,
    biased_world,
    without_position,
)
from benchmarks.rows import Row
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.metrics.ranking import auc
from mrlm.metrics.reliability import log_loss

SEEDS, USERS, QUICK_USERS = 3, 800, 200
CLIP = 10.0
WORLDS = {
    "the logger knows tastes": {"confounded": True, "placed": False},
    "low positions are overlooked": {"confounded": False, "placed": True},
    "both": {"confounded": True, "placed": True},
}
ALIKE, WEIGHED, NO_POSITION, BELOW = "alike", "weighed", "without positions", "asked below"
_MEASURES = ("AUC", "log loss", "true likes of its first choice")
Cell = dict[str, list[float]]


def run(quick: bool) -> list[Row]:
    """Three measures of each way to learn, in each world, for both models."""
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", version(__name__))
    users, rows = QUICK_USERS if quick else USERS, []
    for world in WORLDS:
        for kind in (PAIR, HISTORY):
            cells = [
                kept.of(
                    ["selection", world, kind, users, seed],
                    lambda world=world, kind=kind, seed=seed: cell(world, kind, seed, users),  # type: ignore[misc]
                )
                for seed in range(1, (1 if quick else SEEDS) + 1)
            ]
            rows += _rows(f"{kind}, {world}", cells)
    return rows


def cell(name: str, kind: str, seed: int, users: int) -> Cell:
    """The three measures by way to learn, and those of the truth."""
    world = biased_world(seed, users, **WORLDS[name])
    plain = BehaviourSettings(model=kind)
    weighed = plain.model_copy(update={"selection_clip": CLIP})
    alike = fit_reward_model(world.fit, plain, seed=0)
    weighing = fit_reward_model(world.fit, weighed, seed=0)
    untold = fit_reward_model(without_position(world.fit), plain, seed=0)
    return {
        "truth": _measured(world, world.truth),
        ALIKE: _measured(world, alike.score(world.later)[:, 0]),
        BELOW: _measured(world, alike.score(world.asked_below)[:, 0]),
        WEIGHED: _measured(world, weighing.score(world.later)[:, 0]),
        NO_POSITION: _measured(world, untold.score(world.later)[:, 0]),
    }


def _measured(world: BiasedWorld, predicted: NDArray[np.float64]) -> list[float]:
    shown, by_decision = predicted[world.shown], predicted.reshape(-1, OFFERED)
    best = np.arange(len(by_decision)) * OFFERED + by_decision.argmax(axis=1)
    return [
        auc(world.label, shown),
        log_loss(world.label, shown),
        float(world.truth[best].mean()),
    ]


def _rows(of: str, cells: Sequence[Mapping[str, Sequence[float]]]) -> list[Row]:
    found = {way: np.array([c[way] for c in cells]) for way in cells[0]}
    rows = []
    for way in (WEIGHED, NO_POSITION, BELOW):
        for j, measure in enumerate(_MEASURES):
            differences = ", ".join(f"{d:+.4f}" for d in found[way][:, j] - found[ALIKE][:, j])
            rows.append(
                Row(
                    f"{measure}, {of}, {way}",
                    float(found[way][:, j].mean()),
                    float(found[ALIKE][:, j].mean()),
                    note=f"peer: all rows alike; differences by seed {differences}; "
                    f"the truth {found['truth'][:, j].mean():.4f}",
                )
            )
    return rows
