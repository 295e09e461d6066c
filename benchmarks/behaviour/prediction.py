"""The demonstration world: fitted on eight nights, the north star predicted on the last four.

Areas under the ROC curve of what was shown, with 95 % intervals clustered by user over all seeds
together; seeds vary the logger, users and films stay. "One reward and 50 entries" is what ``pair``
read before histories held every objective; trees read what ``pair`` reads, and once more what
``history`` reads; "without text" is ``pair`` with one embedding for all films, so text adds what
lies between. Seconds are of the processor, all models on the same rows.

5 seeds. Quick: 1 seed, 110 users and the hashing encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._demonstration import (
    FIT_NIGHTS,
    QUICK_USERS,
    demonstration,
    nights_of,
    seeds,
    version,
)
from benchmarks._kept import Kept
from benchmarks.behaviour._models import (
    HISTORY,
    HISTORY_TREES,
    NO_TEXT,
    ONE_REWARD,
    PAIR,
    SEQUENCE,
    predictions,
)
from benchmarks.behaviour._over_seeds import OfSeed, averaged, difference_row
from benchmarks.learners._peers.field import TREES, tuned_peers
from benchmarks.rows import Row
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.objectives import north_star
from mrlm.behaviour.report import FEW_EVENTS
from mrlm.metrics.clustered import Clustered
from mrlm.metrics.clustered_auc import auc_within, clustered_auc
from mrlm.metrics.reliability import calibration_error, log_loss

SEEDS, QUICK_SEEDS = 5, 1
CALIBRATION = 0.02
_FEW, NEW = f"users with at most {FEW_EVENTS} events", "films first shown that night"


def run(quick: bool) -> list[Row]:
    """Areas, differences, calibration, and what text adds."""
    kept = Kept("BENCH_BEHAVIOUR", "mrlm-behaviour.jsonl", version(__name__))
    users = QUICK_USERS if quick else None
    trees = kept.of(["peers", users or 0], lambda: tuned_peers(users, (TREES,)))
    cells = [
        kept.of(["prediction", users or 0, seed], lambda seed=seed: cell(seed, trees, users))  # type: ignore[misc]
        for seed in seeds(QUICK_SEEDS if quick else SEEDS)
    ]
    return _rows([Predicted(c) for c in cells], judged=not quick)


def cell(seed: int, trees: dict[str, str], users: int | None) -> dict[str, Any]:
    """Predictions of all models under one seed, with what they are compared by."""
    world = demonstration(seed, users)
    nights = nights_of(world)
    fit = world.on_nights(nights[:FIT_NIGHTS]).log
    later = world.on_nights(nights[FIT_NIGHTS:]).log
    found, seconds = predictions(fit, later, trees)
    return compared(world.log, later, found, seconds)


def compared(
    log: BanditLog,
    later: BanditLog,
    found: Mapping[str, NDArray[np.float64]],
    seconds: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Predictions for what was shown later, with what they are compared by: see ``Predicted``.

    Args:
        log: of all nights.
        later: its last nights.
        found: model to predictions of the north star, one a decision of ``later``.
        seconds: of each model.
    """
    column = later.column(north_star(later.objectives).name)
    kept = np.flatnonzero(later.final[:, column] & np.isfinite(later.rewards[:, column]))
    return {
        "user": later.decisions.user[kept].tolist(),
        "label": later.rewards[kept, column].astype(int).tolist(),
        "few": (later.decisions.looked_back_on().lengths <= FEW_EVENTS)[kept].tolist(),
        "new": first_shown_that_night(log, later)[kept].tolist(),
        "predicted": {name: np.round(p[kept], 7).tolist() for name, p in found.items()},
        "seconds": seconds,
    }


def first_shown_that_night(log: BanditLog, later: BanditLog) -> NDArray[np.bool_]:
    """Whether what a decision showed had been shown on no night before its own."""
    code = log.decisions.candidates.values[log.shown]
    first = np.full(len(log.decisions.catalog), log.night.max())
    np.minimum.at(first, code, log.night)
    return np.asarray(first[later.decisions.candidates.values[later.shown]] == later.night)


class Predicted:
    """One cell as arrays.

    Args:
        found: what ``cell`` returned.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.user = np.array(found["user"], object)
        self.label = np.array(found["label"])
        everyone = np.ones(len(self.label), np.bool_)
        self.groups = {"all": everyone, _FEW: np.array(found["few"]), NEW: np.array(found["new"])}
        self.by_model = {n: np.array(p) for n, p in found["predicted"].items()}
        self.seconds: dict[str, dict[str, float]] = found["seconds"]

    def area(self, model: str, group: str) -> OfSeed | None:
        """Area of a model on a group; None where the group lacks a class."""
        kept = self.groups[group]
        if len(set(self.label[kept].tolist())) < 2:
            return None
        names, code = np.unique(self.user[kept].astype(str), return_inverse=True)
        return OfSeed(names, clustered_auc(self.label[kept], self.by_model[model][kept], code))


def over_seeds(cells: Sequence[Predicted], model: str, group: str = "all") -> Clustered:
    """Mean area over the seeds that have both classes; see ``averaged``."""
    return averaged([a for c in cells if (a := c.area(model, group)) is not None])


def _rows(cells: Sequence[Predicted], judged: bool) -> list[Row]:
    areas = {name: over_seeds(cells, name) for name in cells[0].by_model}
    rows = [
        Row(f"AUC, {name}", area.value, note=f"standard error {area.standard_error:.4f}")
        for name, area in areas.items()
    ]
    for own, other, asked in (
        (PAIR, ONE_REWARD, judged),
        (PAIR, TREES, judged),
        (HISTORY, TREES, judged),
        (HISTORY, PAIR, judged),
        (HISTORY, HISTORY_TREES, False),
        (SEQUENCE, TREES, False),
        (SEQUENCE, PAIR, False),
        (SEQUENCE, HISTORY, False),
    ):
        rows.append(_above(f"AUC, {own} less {other}", areas[own] - areas[other], asked))
    for group in (_FEW, NEW):
        for own, other in ((HISTORY, PAIR), (SEQUENCE, HISTORY)):
            both = [over_seeds(cells, name, group) for name in (own, other)]
            name = f"AUC, {own} less {other}, {group}"
            rows.append(_above(name, both[0] - both[1], False))
    for group in ("all", _FEW, NEW):
        read, bare = (over_seeds(cells, name, group) for name in (PAIR, NO_TEXT))
        count = sum(int(c.groups[group].sum()) for c in cells)
        rows.append(_above(f"AUC, what text adds, {group}", read - bare, False, f"; {count} rows"))
    return [
        *rows,
        *(
            Row(f"AUC within users, {name}", _mean(cells, name, _within))
            for name in cells[0].by_model
        ),
        *(_calibration(cells, name, judged) for name in (PAIR, HISTORY, SEQUENCE)),
        *(
            Row(f"log loss, {name}", _mean(cells, name, lambda c, p: log_loss(c.label, p)))
            for name in (PAIR, HISTORY, SEQUENCE)
        ),
        *(
            Row(
                f"seconds to {part}, {own}",
                float(np.mean([c.seconds[own][part] for c in cells])),
                float(np.mean([c.seconds[other][part] for c in cells])),
                note=f"peer: {other}",
            )
            for own, other in ((HISTORY, PAIR), (SEQUENCE, HISTORY))
            for part in ("fit", "score")
        ),
    ]


def _calibration(cells: Sequence[Predicted], model: str, judged: bool) -> Row:
    found = _mean(cells, model, lambda c, p: calibration_error(c.label, p))
    return Row(
        f"calibration error, {model}",
        found,
        bar=f"<= {CALIBRATION:g}",
        holds=found <= CALIBRATION,
    ).where(judged)


def _within(cell: Predicted, predicted: NDArray[np.float64]) -> float:
    return auc_within(
        cell.label, predicted, np.unique(cell.user.astype(str), return_inverse=True)[1]
    )


def _mean(
    cells: Sequence[Predicted],
    model: str,
    measure: Callable[[Predicted, NDArray[np.float64]], float],
) -> float:
    return float(np.mean([measure(c, c.by_model[model]) for c in cells]))


def _above(measure: str, difference: Clustered, judged: bool, more: str = "") -> Row:
    row = difference_row(measure, difference, more)
    low, _ = difference.interval()
    return replace(row, bar="interval above 0", holds=low > 0).where(judged)
