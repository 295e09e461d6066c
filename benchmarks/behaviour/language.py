"""The demonstration world with a language model that reads the history: ``language`` beside others.

Fitted on eight nights, the north star predicted on the last four, as in ``behaviour.prediction``,
for the first 150 users of one seed, as a processor's core has to tune the packaged MiniLM; all
models see the same rows. "Heads alone" are what the tuned transformer says, averaged
over the folds' models and not calibrated, without anything else that the model reads. Intervals are
clustered by user. Seconds are the processor's.

Quick: 24 users, 64 slots to tune on and two entries of the history in a text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._clock import Clock
from benchmarks._demonstration import (
    FIT_NIGHTS,
    OWN_SEED,
    KnownLog,
    demonstration,
    nights_of,
    settings,
)
from benchmarks._kept import Kept, code_of
from benchmarks.behaviour._models import HISTORY, PAIR
from benchmarks.behaviour._over_seeds import difference_row
from benchmarks.behaviour.prediction import NEW, Predicted, compared, over_seeds
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog
from mrlm.behaviour.features.pair_features import shown_only
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.language.tuned_model import language_outputs
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.metrics.clustered import Clustered
from mrlm.metrics.reliability import calibration_error, log_loss

LANGUAGE, ALONE = "language", "language, heads alone"
USERS, QUICK_USERS = 150, 24
TUNED = LanguageSettings(rows=1024, entries=6, max_tokens=96)
QUICK_TUNED = TUNED.model_copy(
    update={"rows": 64, "entries": 2, "max_tokens": 48, "epochs": 1, "trained_layers": 1}
)


def run(quick: bool) -> list[Row]:
    """Areas of the three models, paired differences, log loss, calibration and seconds."""
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", code_of(__name__))
    cell = Predicted(kept.of(["language", int(quick)], lambda: _cell(quick)))
    rows = [_area(cell, name, "all") for name in cell.by_model]
    for group in ("all", NEW):
        for other in (HISTORY, PAIR):
            rows.append(_less(cell, other, group))
    for measure, of in (("log loss", log_loss), ("calibration error", calibration_error)):
        for name in (PAIR, HISTORY, LANGUAGE):
            rows.append(Row(f"{measure}, {name}", of(cell.label, cell.by_model[name])))
    for part in ("fit", "score"):
        own, peer = (cell.seconds[name][part] for name in (LANGUAGE, HISTORY))
        rows.append(Row(f"seconds to {part}, {LANGUAGE}", own, peer, note=f"peer: {HISTORY}"))
    return rows


def _cell(quick: bool) -> dict[str, Any]:
    world = of_some_users(QUICK_USERS if quick else USERS)
    nights = nights_of(world)
    fit = world.on_nights(nights[:FIT_NIGHTS]).log
    later = world.on_nights(nights[FIT_NIGHTS:]).log
    shown, of = shown_only(later), settings()
    found, seconds = {}, {}
    for name in (PAIR, HISTORY, LANGUAGE):
        clock = Clock()
        changed = {"model": name, "language": QUICK_TUNED if quick else TUNED}
        model = fit_reward_model(fit, of.behaviour.model_copy(update=changed), of.seed)
        clock.lap("fit")
        star = model.heads.index(model.north_star)
        found[name] = model.score(shown)[:, star]
        clock.lap("score")
        seconds[name] = clock.seconds
        if name == LANGUAGE:
            members = [m.language for m in model.members if m.language]
            found[ALONE] = language_outputs(shown, members).mean(axis=0)[:, star]
    return compared(world.log, later, found, seconds)


def of_some_users(users: int) -> KnownLog:
    """The demonstration of all users, of whom some are looked at."""
    whole = demonstration(OWN_SEED)
    log: BanditLog = whole.log
    chosen = np.unique(log.decisions.user.astype(str))[:users]
    inside = np.isin(log.decisions.user.astype(str), chosen)
    flat = inside[log.decisions.candidates.row]
    return KnownLog(log.where(inside), whole.truth[flat])


def _area(cell: Predicted, name: str, group: str) -> Row:
    area = over_seeds([cell], name, group)
    return Row(f"AUC, {name}", area.value, note=f"standard error {area.standard_error:.4f}")


def _less(cell: Predicted, other: str, group: str) -> Row:
    difference: Clustered = over_seeds([cell], LANGUAGE, group) - over_seeds([cell], other, group)
    more = f"; {int(cell.groups[group].sum())} rows"
    return difference_row(f"AUC, {LANGUAGE} less {other}, {group}", difference, more)
