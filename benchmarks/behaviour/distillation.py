"""What serving a student of ``history`` or ``language`` loses, and what it has over ``pair`` alone.

The demonstration world, fitted on eight nights and judged on the last four: area under the ROC
curve and log loss of what was shown, and the true value of the policy that is greedy by the model
with the demonstration's floor. All models are of the same rows and have the same settings, but for
"pair, as many updates": a student's pass holds the asked candidates too, so a ``pair`` alone with
so many more passes tells what is owed to the teacher and what to longer training. Intervals are of
95 %, clustered by user over all seeds together; seeds vary the logger. Seconds and bytes say what
is saved: to score the four nights, and what is stored.

3 seeds of all users for ``history``; for ``language`` one, of 150 users, as a core has to tune it.
Quick: one seed of 110 users for ``history`` and the hashing encoder; no ``language``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._clock import Clock
from benchmarks._demonstration import (
    FIT_NIGHTS,
    QUICK_USERS,
    KnownLog,
    demonstration,
    nights_of,
    seeds,
    settings,
    version,
)
from benchmarks._kept import Kept
from benchmarks.behaviour._models import HISTORY, PAIR
from benchmarks.behaviour._over_seeds import OfSeed, averaged, difference_row
from benchmarks.behaviour.language import LANGUAGE, TUNED, USERS, of_some_users
from benchmarks.rows import Row
from mrlm.bandit_log.objectives import north_star
from mrlm.bandit_log.ragged import segment_sum
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.fitting.distilled import ASKED
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.fitting.taught import fit_taught
from mrlm.metrics.clustered import Clustered, clustered_mean
from mrlm.metrics.clustered_auc import clustered_auc
from mrlm.metrics.reliability import log_losses
from mrlm.policies.greedy import greedy_with_floor

SEEDS, SHARE = 3, 0.5
TEACHER, STUDENT = "teacher", "student"
LONGER = "pair, as many updates"
_MODELS = (TEACHER, STUDENT, PAIR, LONGER)
Floats = NDArray[np.float64]


def run(quick: bool) -> list[Row]:
    """Each measure of the models, and the student's differences, for each teacher."""
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", version(__name__))
    users = QUICK_USERS if quick else None
    found = [
        kept.of(
            ["distillation", HISTORY, users or 0, seed],
            lambda seed=seed: cell(HISTORY, demonstration(seed, users)),  # type: ignore[misc]
        )
        for seed in seeds(1 if quick else SEEDS)
    ]
    rows = _rows(HISTORY, found)
    if quick:
        return rows
    key: list[str | int] = ["distillation", LANGUAGE, USERS]
    of_language = kept.of(key, lambda: cell(LANGUAGE, of_some_users(USERS)))
    return [*rows, *_rows(LANGUAGE, [of_language])]


def cell(teacher: str, world: KnownLog) -> dict[str, Any]:
    """What the models predict of what was shown, and the true value of each decision."""
    nights = nights_of(world)
    fit, later = (world.on_nights(n) for n in (nights[:FIT_NIGHTS], nights[FIT_NIGHTS:]))
    of = settings()
    changed = {"model": teacher, "distil": SHARE, "language": TUNED}
    taught = fit_taught(fit.log, of.behaviour.model_copy(update=changed), of.seed)
    passes = of.behaviour.epochs * (1 + ASKED)
    alone = of.behaviour.model_copy(update={"model": PAIR, "epochs": passes})
    longer = fit_reward_model(fit.log, alone, of.seed)
    fitted = (taught.teacher, taught.student, taught.pair, longer)
    models = dict(zip(_MODELS, fitted, strict=True))
    column = later.log.column(north_star(later.log.objectives).name)
    label = np.where(later.log.final[:, column], later.log.rewards[:, column], np.nan)
    told = {name: _told(m, later, of.tuning.floor) for name, m in models.items()}
    return {
        "user": later.log.decisions.user.tolist(),
        "label": [None if np.isnan(y) else int(y) for y in label],
        "models": told,
    }


def _told(model: RewardModel, later: KnownLog, floor: float) -> dict[str, Any]:
    decisions, clock = later.log.decisions, Clock()
    score = model.score(decisions)[:, model.heads.index(model.north_star)]
    clock.lap("score")
    policy = greedy_with_floor(score, decisions.offsets, floor)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        stored = sum(file.stat().st_size for file in Path(folder).iterdir())
    return {
        "predicted": np.round(score[later.log.shown], 7).tolist(),
        "value": np.round(segment_sum(policy * later.truth, decisions.offsets), 7).tolist(),
        "seconds": clock.seconds["score"],
        "bytes": stored,
    }


def _rows(teacher: str, cells: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows = []
    for measure, of in _MEASURES.items():
        found = {m: [of(c, m) for c in cells] for m in _MODELS}
        for model in _MODELS:
            rows.append(_figure(f"{measure}, {_name(model, teacher)}", averaged(found[model])))
        for other in (TEACHER, PAIR, LONGER):
            pairs = zip(found[STUDENT], found[other], strict=True)
            less = averaged([ours - theirs for ours, theirs in pairs])
            name = f"{measure}, student of {teacher} less {_name(other, teacher)}"
            rows.append(difference_row(name, less))
    for what in ("seconds", "bytes"):
        mean = {m: float(np.mean([c["models"][m][what] for c in cells])) for m in _MODELS}
        named = {"seconds": "seconds to score", "bytes": "bytes stored"}[what]
        note = f"peer: {teacher}; {PAIR} alone {mean[PAIR]:.4g}"
        rows.append(Row(f"{named}, student", mean[STUDENT], mean[TEACHER], note=note))
    return rows


def _name(model: str, teacher: str) -> str:
    named = {TEACHER: teacher, STUDENT: f"student of {teacher}", PAIR: f"{PAIR} alone"}
    return named.get(model, model)


def _figure(measure: str, found: Clustered) -> Row:
    return Row(measure, found.value, note=f"standard error {found.standard_error:.4f}")


def _area(of: Mapping[str, Any], model: str) -> OfSeed:
    label, predicted, users, cluster = _shown(of, model)
    return OfSeed(users, clustered_auc(label, predicted, cluster))


def _log_loss(of: Mapping[str, Any], model: str) -> OfSeed:
    label, predicted, users, cluster = _shown(of, model)
    return OfSeed(users, clustered_mean(log_losses(label, predicted), cluster))


def _value(of: Mapping[str, Any], model: str) -> OfSeed:
    users, cluster = np.unique(np.array(of["user"], str), return_inverse=True)
    return OfSeed(users, clustered_mean(np.array(of["models"][model]["value"]), cluster))


def _shown(
    of: Mapping[str, Any], model: str
) -> tuple[Floats, Floats, NDArray[np.str_], NDArray[np.int64]]:
    """Labels and predictions of rows with a label, their users, and which a row's is."""
    label = np.array(of["label"], np.float64)
    known = np.isfinite(label)
    users, cluster = np.unique(np.array(of["user"], str)[known], return_inverse=True)
    return label[known], np.array(of["models"][model]["predicted"])[known], users, cluster


_MEASURES: Mapping[str, Callable[[Mapping[str, Any], str], OfSeed]] = {
    "AUC": _area,
    "log loss": _log_loss,
    "true value": _value,
}
