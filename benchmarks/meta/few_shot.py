"""A department's first marks: how far a learnt prior goes with them, on real ratings (InstEval).

*Newest semester*: all earlier marks are learned from; the area under the ROC curve of likes (a mark
of 4 or 5). Beside ours the means of lecturer and student, with the prior weight that is best on the
judged semester itself. Intervals are clustered by student, ours and the means on the same rows.

*A department left out*: the others' earlier marks give the prior (``layer_prior``); so many earlier
marks of the department adapt it in one solve (``LastLayer.adapted``); its newest semester judges.
Each department once, areas weighed by judged rows; students are known from other departments.
Beside ours: *pooled*, the others' layer as it is; *independent*, the same solve with the same
spreads by the department's rows alone; *Reptile* over the other departments, from the same features
and the same students; *means* of lecturer and student over all these rows.

20 draws of the rows; quick: 2, and 50 rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.meta._finished import finished
from benchmarks.meta._peers.reptile import Task, reptile
from benchmarks.meta._worlds.inst_eval import LECTURER, Floats, Marks, marks, of_means
from benchmarks.rows import Row
from mrlm.behaviour.uncertainty.last_layer import LastLayer
from mrlm.meta.adaptation.layer_prior import LayerPrior, layer_prior
from mrlm.metrics.clustered_auc import clustered_auc
from mrlm.metrics.ranking import auc

SIZES, QUICK_SIZES = (50, 200, 1000), (50,)
DRAWS, QUICK_DRAWS = 20, 2
NEWEST, ABOVE_POOLED, ABOVE_INDEPENDENT, BELOW_POOLED = 0.67, 0.01, 0.02, 0.003
MEANS_PRIORS = (1, 2, 5, 8, 10, 15, 20, 30, 50)
# That of the means where a department is left out: not chosen on what judges.
MEANS_PRIOR = 8.0
OURS, POOLED, INDEPENDENT, REPTILE, MEANS = "ours", "pooled", "independent", "Reptile", "means"


def run(quick: bool) -> list[Row]:
    """The newest semester, then departments left out."""
    kept, data = finished(__name__), marks()
    found = kept.of(["newest"], partial(newest, data))
    low, high = found["interval"]
    rows = [
        Row(
            "newest semester: AUC",
            found["ours"],
            found["means"],
            bar=f">= {NEWEST:g}, and above the means",
            holds=found["ours"] >= NEWEST and low > 0,
            note=f"less the means' {found['ours'] - found['means']:+.4f}, 95 % interval clustered "
            f"by student [{low:+.4f}, {high:+.4f}]; {found['rows']} rows",
        )
    ]
    sizes, draws = (QUICK_SIZES, QUICK_DRAWS) if quick else (SIZES, DRAWS)
    for size in sizes:
        cells = [
            kept.of([size, int(d), draws], partial(left_out, data, int(d), size, draws))
            for d in np.unique(data.department)
        ]
        rows += _rows(size, cells, draws)
    return rows


def _rows(size: int, cells: list[dict[str, float]], draws: int) -> list[Row]:
    weight = np.array([c["rows"] for c in cells])
    mean = {k: float(weight @ [c[k] for c in cells] / weight.sum()) for k in cells[0]}
    over = {POOLED: -BELOW_POOLED if size > SIZES[0] else ABOVE_POOLED}
    if size == SIZES[0]:
        over[INDEPENDENT] = ABOVE_INDEPENDENT
    rows = []
    for other in (POOLED, INDEPENDENT, REPTILE, MEANS):
        above = mean[OURS] - mean[other]
        won = sum(c[OURS] > c[other] for c in cells)
        rows.append(
            Row(
                f"department left out, {size} rows: AUC beside {other}",
                mean[OURS],
                mean[other],
                bar=f">= peer {over[other]:+g}" if other in over else "",
                holds=above >= over[other] if other in over else None,
                note=f"{above:+.4f}; above in {won} of {len(cells)} departments; {draws} draws",
            )
        )
    return rows


def newest(data: Marks) -> dict[str, object]:
    """Areas of the newest semester by all that came before."""
    before, rows = np.flatnonzero(~data.newest), np.flatnonzero(data.newest)
    known = Students.of(data, before)
    ours = data.columns[rows] @ known.prior.layer.mean + known.mean[data.student[rows]]
    label = data.liked[rows]
    means = max(
        (of_means(data, before, rows, prior) for prior in MEANS_PRIORS),
        key=lambda predicted: auc(label, predicted),
    )
    student = np.unique(data.student[rows], return_inverse=True)[1]
    mine, theirs = (clustered_auc(label, score, student) for score in (ours, means))
    return {
        "ours": mine.value,
        "means": theirs.value,
        "interval": (mine - theirs).interval(),
        "rows": len(rows),
    }


@dataclass(frozen=True)
class Students:
    """What some marks tell: of the columns, and of every student's level, new ones too."""

    prior: LayerPrior
    mean: Floats
    variance: Floats

    @classmethod
    def of(cls, data: Marks, rows: NDArray[np.int64]) -> Students:
        """Learned from these rows."""
        met, code = np.unique(data.student[rows], return_inverse=True)
        prior = layer_prior(data.columns[rows], data.block, code, data.mark[rows])
        many = int(data.student.max()) + 1
        mean, variance = np.zeros(many), np.full(many, prior.user_spread)
        mean[met], variance[met] = prior.user_mean, prior.user_variance
        return cls(prior, mean, variance)


def left_out(data: Marks, department: int, size: int, draws: int) -> dict[str, float]:
    """Mean areas of one department's newest semester, by what predicts it."""
    here = data.department == department
    others = np.flatnonzero(~data.newest & ~here)
    pool, rows = np.flatnonzero(~data.newest & here), np.flatnonzero(data.newest & here)
    known = Students.of(data, others)
    used = np.unique(data.columns[np.flatnonzero(here)].indices)
    x = data.columns[:, used]
    layer = known.prior.layer
    prior = LastLayer(layer.mean[used], layer.covariance[np.ix_(used, used)])
    alone = LastLayer(np.zeros(len(used)), np.diag(known.prior.spread[data.block[used]]))
    peer = _reptile_of(data, known, others, size)
    label = data.liked[rows]
    shown, student = x[rows].toarray(), data.student

    def adapted(few: NDArray[np.int64]) -> Floats:
        left = data.mark[few] - known.prior.level - known.mean[student[few]]
        noise = known.prior.noise + known.variance[student[few]]
        own = prior.adapted(x[few].toarray(), left, noise)
        return np.asarray(shown @ own.mean + known.mean[student[rows]], np.float64)

    def independent(few: NDArray[np.int64]) -> Floats:
        left, of = data.mark[few] - data.mark[few].mean(), known.prior
        own = alone.adapted(x[few].toarray(), left, np.full(len(few), of.noise + of.user_spread))
        left = left - x[few] @ own.mean
        many = len(known.mean)
        held = np.bincount(student[few], minlength=many) + of.noise / of.user_spread
        level = np.bincount(student[few], weights=left, minlength=many) / held
        return np.asarray(shown @ own.mean + level[student[rows]], np.float64)

    def by_means(few: NDArray[np.int64]) -> Floats:
        return of_means(data, np.concatenate([others, few]), rows, MEANS_PRIOR)

    predictors: dict[str, Callable[[NDArray[np.int64]], Floats]] = {
        OURS: adapted,
        INDEPENDENT: independent,
        REPTILE: partial(peer, rows),
        MEANS: by_means,
    }
    found = dict.fromkeys(predictors, 0.0)
    for draw in range(draws):
        rng = np.random.default_rng([department, size, draw])
        few = rng.choice(pool, min(size, len(pool)), replace=False)
        for name, predicted in predictors.items():
            found[name] += auc(label, predicted(few)) / draws
    pooled = shown @ prior.mean + known.mean[student[rows]]
    return {**found, POOLED: auc(label, pooled), "rows": float(len(rows))}


def _reptile_of(
    data: Marks, known: Students, others: NDArray[np.int64], size: int
) -> Callable[[NDArray[np.int64], NDArray[np.int64]], Floats]:
    """Reptile's prediction of rows by few rows of their department; it knows the students."""
    # What another department has too: not lecturers, nor what is of one department.
    shared = np.flatnonzero(np.isin(data.block, (2, 3, 4)))

    def task(rows: NDArray[np.int64], lecturers: NDArray[np.int64]) -> Task:
        level = known.prior.level + known.mean[data.student[rows]]
        return Task(
            data.columns[rows][:, shared].toarray(),
            data.columns[rows][:, lecturers].toarray(),
            data.mark[rows] - level,
        )

    def lecturers_of(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        met = np.unique(data.columns[rows].indices)
        return np.asarray(met[data.block[met] == LECTURER], np.int64)

    department = data.department[others]
    tasks = [others[department == d] for d in np.unique(department)]
    learnt = reptile([task(t, lecturers_of(t)) for t in tasks], size, seed=0)

    def predicted(rows: NDArray[np.int64], few: NDArray[np.int64]) -> Floats:
        lecturers = lecturers_of(np.concatenate([rows, few]))
        at = learnt.adapted(task(few, lecturers))
        return task(rows, lecturers).features @ at + known.mean[data.student[rows]]

    return predicted
