"""A gate for each scene on the behaviour model's last layer, beside one layer for all.

The demonstration, split into scenes by the hour of the decision (UTC, six hours each); the model
``history`` is fitted on eight nights and predicts the north star of what was shown on the last
four. Ours are the gates in closed form (``with_scene_heads``), which stay near 1 where the scenes'
rewards do not tell them apart. The *trained gate* is PEPNet's on the same layer and the same rows:
2 · sigmoid of a table by scene and unit, by gradient steps on the log loss.

Areas under the ROC curve, mean over seeds; intervals are clustered by user over all seeds together,
those of the scenes simultaneous (Bonferroni).

5 seeds; quick: 1 seed, 110 users and the hashing encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks._demonstration import (
    FIT_NIGHTS,
    QUICK_USERS,
    KnownLog,
    demonstration,
    nights_of,
    seeds,
    settings,
)
from benchmarks.meta._finished import finished
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.networks.scene_heads import SceneHeads
from mrlm.meta.adaptation.scene_layers import with_scene_heads
from mrlm.metrics.clustered import Clustered
from mrlm.metrics.clustered_auc import clustered_auc

SEEDS, QUICK_SEEDS = 5, 1
HOURS, LEAST, ALL = 6, -0.002, "all"
SHARED, OURS, TRAINED = "shared", "ours", "trained gate"
# Of the trained gate: full steps of Adam.
_STEPS, _RATE = 100, 0.02


def run(quick: bool) -> list[Row]:
    """Differences of the gates from the shared layer, by scene and over all."""
    kept, users = finished(__name__), QUICK_USERS if quick else None
    cells = [
        kept.of([users or 0, seed], partial(cell, seed, users))
        for seed in seeds(QUICK_SEEDS if quick else SEEDS)
    ]
    scenes = sorted(set(cells[0]["scene"]))
    rows = []
    for name, judged in ((OURS, True), (TRAINED, False)):
        for scene in (ALL, *scenes):
            level = 0.95 if scene == ALL else 1 - 0.05 / len(scenes)
            less = _less(cells, name, scene)
            low, high = less.interval(level)
            whole = scene == ALL
            rows.append(
                Row(
                    f"AUC, {name} less {SHARED}, {'all' if whole else f'hours {scene}'}",
                    less.value,
                    bar="interval above 0" if whole else f"upper end >= {LEAST:g}",
                    holds=low > 0 if whole else high >= LEAST,
                    note=f"interval [{low:+.5f}, {high:+.5f}]; {SHARED} "
                    f"{_mean(cells, SHARED, scene):.4f}",
                ).where(judged)
            )
    return rows


def cell(seed: int, users: int | None) -> dict[str, Any]:
    """Predictions of all three under one seed, with what they are judged by."""
    world = demonstration(seed, users)
    nights, of = nights_of(world), settings()
    fit, later = _of(world, nights[:FIT_NIGHTS]), _of(world, nights[FIT_NIGHTS:])
    shared = fit_reward_model(fit, of.behaviour, of.seed)
    models = {
        SHARED: shared,
        OURS: with_scene_heads(shared, fit),
        TRAINED: replace(shared, scenes=_trained(shared, fit)),
    }
    star = north_star(fit.objectives).name
    column, head = later.column(star), shared.heads.index(star)
    kept = np.flatnonzero(later.final[:, column] & np.isfinite(later.rewards[:, column]))
    shown = shown_only(later)
    return {
        "user": later.decisions.user[kept].astype(str).tolist(),
        "scene": later.decisions.scene[kept].tolist(),
        "label": later.rewards[kept, column].astype(int).tolist(),
        **{n: np.round(m.score(shown)[kept, head], 7).tolist() for n, m in models.items()},
    }


def _of(world: KnownLog, nights: list[str]) -> BanditLog:
    """Decisions of some nights, their scene the hours in which they were."""
    log = world.on_nights(nights).log
    hour = log.decisions.ts.astype("datetime64[h]").astype(np.int64) % 24 // HOURS * HOURS
    scene = np.array([f"{h:02d}-{h + HOURS:02d}" for h in hour.tolist()], object)
    return replace(log, decisions=replace(log.decisions, scene=scene))


def _trained(model: RewardModel, fit: BanditLog) -> SceneHeads:
    """A table of gates by scene and unit for the north star's head, by gradient steps."""
    names, scene = np.unique(fit.decisions.scene.astype(str), return_inverse=True)
    decisions, star = shown_only(fit), north_star(fit.objectives).name
    hidden, outputs = model.hidden(decisions)
    j, column = model.heads.index(star), fit.column(star)
    reward, calibration = fit.rewards[:, column], model.calibration[j]
    fold = user_folds(decisions.user, model.folds, crc())
    k, width, heads = model.networks.head.shape
    weight, bias = np.zeros((k, len(names), width, heads)), np.zeros((k, len(names), heads))
    found = SceneHeads(names, weight, bias)
    for member in range(k):
        rows = np.flatnonzero((fold == member) & fit.final[:, column] & np.isfinite(reward))
        own = model.networks.head[member, :, j]
        parts = hidden[member, rows] * own
        table = np.zeros((len(names), width))
        moment, square = np.zeros_like(table), np.zeros_like(table)
        for step in range(1, _STEPS + 1):
            gate = expit(table)
            moved = ((2 * gate[scene[rows]] - 1) * parts).sum(axis=1)
            p = expit(
                calibration.slope * (outputs[member, rows, j] + moved) + calibration.intercept
            )
            error = calibration.slope * (p - reward[rows])[:, None] * parts
            slope = np.stack([error[scene[rows] == s].sum(axis=0) for s in range(len(names))])
            slope *= 2 * gate * (1 - gate) / len(rows)
            moment, square = 0.9 * moment + 0.1 * slope, 0.999 * square + 0.001 * slope**2
            table -= (
                _RATE * (moment / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
            )
        found.weight[member, :, :, j] = (2 * expit(table) - 1) * own
    return found


def _areas(
    cells: Sequence[dict[str, Any]], scene: str
) -> list[tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.str_]]]:
    """Of each cell the rows of a scene, their users' codes, and the users."""
    found = []
    for c in cells:
        kept = np.array([scene in (ALL, s) for s in c["scene"]])
        users, code = np.unique(np.array(c["user"])[kept], return_inverse=True)
        found.append((kept, code, users))
    return found


def _less(cells: Sequence[dict[str, Any]], name: str, scene: str) -> Clustered:
    """Mean difference from the shared layer; a user's influence is summed over the seeds."""
    users = sorted({u for c in cells for u in c["user"]})
    influence, value = np.zeros(len(users)), 0.0
    for c, (kept, code, own) in zip(cells, _areas(cells, scene), strict=True):
        label = np.array(c["label"])[kept]
        one, other = (clustered_auc(label, np.array(c[n])[kept], code) for n in (name, SHARED))
        less = one - other
        value += less.value / len(cells)
        influence[np.searchsorted(users, own)] += less.influence / len(cells)
    return Clustered(value, influence[influence != 0.0])


def _mean(cells: Sequence[dict[str, Any]], name: str, scene: str) -> float:
    return float(
        np.mean(
            [
                clustered_auc(np.array(c["label"])[kept], np.array(c[name])[kept], code).value
                for c, (kept, code, _) in zip(cells, _areas(cells, scene), strict=True)
            ]
        )
    )
