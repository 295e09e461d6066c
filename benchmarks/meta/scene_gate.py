"""A gate for each scene on the behaviour model's last layer, beside one layer for all.

The demonstration, split into scenes in two ways; the model ``history`` is fitted on eight nights
and predicts the north star of what was shown on the last four.

*Hours*: of the decision, UTC, six hours each. The replay draws when users come and not what they
are offered then, so there is nothing to find: what is asked is to do no harm. The *oracle* gate is
ours fitted on the last four nights themselves, each half of the users for the other, unchecked.

*Discovery*: every second request is of a scene in which the north star counts only with a film that
few have rated, fewer than half of what is shown in the log. Ratings and films are the same; what
is wanted differs by scene, as on a page that is there for finding something new.

Ours are the gates in closed form (``with_scene_heads``). The *trained gate* is PEPNet's on the same
layer and the same rows: 2 · sigmoid of a table by scene and unit, by gradient steps on the log
loss.

Areas under the ROC curve, mean over seeds; intervals are clustered by user over all seeds together,
those of the scenes simultaneous (Bonferroni).

5 seeds; quick: 1 seed of *discovery* alone, 110 users and the hashing encoder.
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
HOURS, DISCOVERY = "hours", "discovery"
HOURS_A_SCENE, LEAST, ALL = 6, -0.002, "all"
SHARED, OURS, TRAINED, ORACLE = "shared", "ours", "trained gate", "oracle gate"
GATES = {HOURS: (OURS, TRAINED, ORACLE), DISCOVERY: (OURS, TRAINED)}
# Of the trained gate: full steps of Adam.
_STEPS, _RATE = 100, 0.02


def run(quick: bool) -> list[Row]:
    """Differences of the gates from the shared layer, by scene and over all."""
    rows = []
    for split, names in GATES.items():
        if quick and split == HOURS:
            continue
        cells = _cells(quick, split)
        # Where there is nothing to find, not to lose is all that can be asked.
        nothing = ORACLE in names and _less(cells, ORACLE, ALL).interval()[0] <= 0
        for name in names:
            rows += _rows(split, cells, name, nothing)
    return rows


def _cells(quick: bool, split: str) -> list[dict[str, Any]]:
    kept, users = finished(__name__), QUICK_USERS if quick else None
    return [
        kept.of([users or 0, seed, split], partial(cell, seed, users, split))
        for seed in seeds(QUICK_SEEDS if quick else SEEDS)
    ]


def _rows(split: str, cells: list[dict[str, Any]], name: str, nothing: bool) -> list[Row]:
    """Of one gate: over all, where it is to win unless there is nothing to find, and by scene."""
    scenes = sorted(set(cells[0]["scene"]))
    rows = []
    for scene in (ALL, *scenes):
        whole = scene == ALL
        less = _less(cells, name, scene)
        low, high = less.interval(0.95 if whole else 1 - 0.05 / len(scenes))
        enough = high >= 0 if nothing else low > 0
        bar = f"interval {'not below' if nothing else 'above'} 0"
        rows.append(
            Row(
                f"AUC, {name} less {SHARED}, {split}: {scene}",
                less.value,
                bar=bar if whole else f"upper end >= {LEAST:g}",
                holds=enough if whole else high >= LEAST,
                note=f"interval [{low:+.5f}, {high:+.5f}]; {SHARED} "
                f"{_mean(cells, SHARED, scene):.4f}",
            ).where(name == OURS)
        )
    return rows


def cell(seed: int, users: int | None, split: str) -> dict[str, Any]:
    """Predictions of all under one seed, with what they are judged by."""
    world = demonstration(seed, users)
    nights, of = nights_of(world), settings()
    whole = _split(world.log, split)
    fit, later = (_on(whole, some) for some in (nights[:FIT_NIGHTS], nights[FIT_NIGHTS:]))
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
    found = {n: m.score(shown)[:, head] for n, m in models.items()}
    if split == HOURS:
        found[ORACLE] = _oracle(shared, later, head)
    return {
        "user": later.decisions.user[kept].astype(str).tolist(),
        "scene": later.decisions.scene[kept].tolist(),
        "label": later.rewards[kept, column].astype(int).tolist(),
        **{name: np.round(score[kept], 7).tolist() for name, score in found.items()},
    }


def _on(log: BanditLog, nights: list[str]) -> BanditLog:
    return log.take(np.flatnonzero(np.isin(log.night, np.array(nights, "datetime64[D]"))))


def _split(log: BanditLog, split: str) -> BanditLog:
    """The log with its scenes, and with what is wanted in them."""
    if split == HOURS:
        ts = log.decisions.ts.astype("datetime64[h]").astype(np.int64)
        hour = ts % 24 // HOURS_A_SCENE * HOURS_A_SCENE
        scene = np.array([f"{h:02d}-{h + HOURS_A_SCENE:02d}" for h in hour.tolist()], object)
        return replace(log, decisions=replace(log.decisions, scene=scene))
    finds = log.decisions.request % 2 == 1
    scene = np.where(finds, "discovery", "home").astype(object)
    rated = log.decisions.catalog.attributes["popularity"]
    rated = rated[log.decisions.candidates.values[log.shown]]
    column, rewards = log.column(north_star(log.objectives).name), log.rewards.copy()
    rewards[finds & (rated >= np.median(rated)), column] = 0.0
    return replace(log, decisions=replace(log.decisions, scene=scene), rewards=rewards)


def _oracle(shared: RewardModel, later: BanditLog, head: int) -> NDArray[np.float64]:
    """What gates say of the later nights that were fitted on their other half of users."""
    half, shown = user_folds(later.decisions.user, 2, crc("oracle")), shown_only(later)
    score = np.empty(len(later))
    for part in range(2):
        others = later.take(np.flatnonzero(half != part))
        own = with_scene_heads(shared, others, checked=False)
        score[half == part] = own.score(shown)[half == part, head]
    return score


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
    told = influence[influence != 0.0]
    # Where both predict the same there is no user to tell of.
    return Clustered(value, told if len(told) else np.zeros(2))


def _mean(cells: Sequence[dict[str, Any]], name: str, scene: str) -> float:
    return float(
        np.mean(
            [
                clustered_auc(np.array(c["label"])[kept], np.array(c[name])[kept], code).value
                for c, (kept, code, _) in zip(cells, _areas(cells, scene), strict=True)
            ]
        )
    )
