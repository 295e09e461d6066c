"""A language model tuned to delight (4 stars or more) from a film's title and genres alone.

2,000 ratings of half of the films to learn from, 12,000 of the other half to judge by: what is
learned of a title has to hold for titles that nobody saw. The frozen head is a logistic regression
on the untouched vectors of the same model, with the ridge that predicts films left out of the
training rows best. Areas are paired over the same rows; intervals are clustered by film. It is the
packaged MiniLM, of which the two upper layers of six are tuned, on one processor; seconds are the
processor's.

The resumed run is a smaller one, of 400 rows: it is ended by SIGKILL after its first checkpoint,
started again, and its curve is that of a run that nobody ended, or not.

Quick: 1,500 test rows of the 400 most rated films, low rank alone, one pass.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._kept import Kept, code_of
from benchmarks.behaviour._film_task import (
    KILLED,
    TRAIN,
    FilmTask,
    film_task,
    frozen_head,
    killed_and_resumed,
    tuned,
)
from benchmarks.rows import Row
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.metrics.clustered import Clustered
from mrlm.metrics.clustered_auc import clustered_auc

FROZEN, LOW_RANK, FULL = "frozen head", "low rank", "full"
MODELS = {
    LOW_RANK: LanguageSettings(tuning="low_rank", form="cross_encoder", epochs=3),
    FULL: LanguageSettings(tuning="full", form="cross_encoder", epochs=3, learning_rate=3e-5),
}
SECONDS, CLOSE = 600.0, 0.003


def run(quick: bool) -> list[Row]:
    """Areas, paired differences, processor seconds, and whether a killed run goes on alike."""
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", code_of(__name__))
    names = (LOW_RANK,) if quick else tuple(MODELS)
    task = film_task(quick)
    ridge = kept.of(["films", FROZEN, int(quick)], lambda: _frozen(task))
    found = {
        name: kept.of(["films", name, int(quick)], lambda name=name: _tuned(task, name, quick))  # type: ignore[misc]
        for name in names
    }
    resumed = kept.of(["films", "resumed"], _resumed)
    areas = {FROZEN: _area(task, ridge["logits"])}
    areas |= {name: _area(task, one["logits"]) for name, one in found.items()}
    rows = [
        Row(f"AUC, {name}", area.value, note=f"standard error {area.standard_error:.4f}")
        for name, area in areas.items()
    ]
    rows += [_above(name, FROZEN, areas, not quick) for name in names]
    if FULL in areas:
        difference = areas[LOW_RANK] - areas[FULL]
        rows.append(
            Row(
                f"AUC, {LOW_RANK} less {FULL}",
                difference.value,
                bar=f">= -{CLOSE:g}",
                holds=difference.value >= -CLOSE,
                note=_interval(difference),
            )
        )
    for name, one in found.items():
        seconds = one["seconds"]["fit"]
        rows.append(
            Row(
                f"processor seconds to fit, {name}",
                seconds,
                bar=f"<= {SECONDS:g}",
                holds=seconds <= SECONDS,
                note=f"{TRAIN} rows",
            ).where(not quick)
        )
    same = resumed["curve"] == resumed["whole"]
    return [
        *rows,
        Row(
            "steps that differ after kill -9 and resume",
            float(np.sum(np.array(resumed["curve"]) != np.array(resumed["whole"]))),
            bar="= 0",
            holds=same and 0 < resumed["killed"] < len(resumed["whole"]),
            note=f"killed after {resumed['killed']} of {len(resumed['whole'])} steps",
        ),
    ]


def _frozen(task: FilmTask) -> dict[str, Any]:
    logits, ridge = frozen_head(task)
    return {"logits": np.round(logits, 6).tolist(), "ridge": ridge}


def _tuned(task: FilmTask, name: str, quick: bool) -> dict[str, Any]:
    settings = MODELS[name].model_copy(update={"epochs": 1} if quick else {})
    logits, _, seconds = tuned(task, settings)
    return {"logits": np.round(logits, 6).tolist(), "seconds": seconds}


def _resumed() -> dict[str, Any]:
    settings = MODELS[LOW_RANK].model_copy(
        update={"epochs": 1, "batch_size": 40, "checkpoint_steps": 3, "trained_layers": 1}
    )
    with tempfile.TemporaryDirectory() as folder:
        curve, killed = killed_and_resumed(settings, Path(folder) / "killed")
    _, whole, _ = tuned(film_task(quick=True), settings, KILLED)
    return {"curve": curve, "killed": killed, "whole": whole}


def _area(task: FilmTask, logits: list[float]) -> Clustered:
    film = task.film[TRAIN:]
    cluster = np.unique(film, return_inverse=True)[1]
    return clustered_auc(task.delight[TRAIN:], np.array(logits)[film], cluster)


def _above(own: str, other: str, areas: dict[str, Clustered], judged: bool) -> Row:
    difference = areas[own] - areas[other]
    return Row(
        f"AUC, {own} less {other}",
        difference.value,
        bar="interval above 0",
        holds=difference.interval()[0] > 0,
        note=_interval(difference),
    ).where(judged)


def _interval(difference: Clustered) -> str:
    low, high = difference.interval()
    return f"95 % interval clustered by film [{low:+.4f}, {high:+.4f}]"
