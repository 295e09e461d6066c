"""Importance weights from a classifier that tells the target's choices from the logged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows
from mrlm.ope.batch import CANDIDATES_AT_ONCE, EvaluationBatch

Batches = Callable[[], Iterable[EvaluationBatch]]
# Which rounds of a batch each of the P classifiers learns from, float64, shape (n, P).
Training = Callable[[EvaluationBatch], NDArray[np.float64]]
Floats = NDArray[np.float64]
PASSES = 100
# exp of it is far past any weight of use, and no product of it with a reward overflows.
LARGEST_LOGIT = 50.0


def log_ratio(features: Floats, coefficients: Floats) -> Floats:
    """Log of target over logger, the classifiers' logits, of rows of features, shape (k, P)."""
    logit = features @ coefficients[:, 1:].T + coefficients[:, 0]
    return np.clip(logit, -LARGEST_LOGIT, LARGEST_LOGIT)


def fit_log_ratio(batches: Batches, training: Training, penalty: float) -> Floats:
    """Coefficients of P logistic regressions, an intercept first, float64, shape (P, 1 + d).

    Label 1 are the candidates, each with its target probability, label 0 the shown items; a round
    gives both the mass 1, so the odds are the ratio of target to logger. By Newton's method, each
    step one pass, halved where the loss would rise.

    Args:
        batches: starts one more pass over the log; every batch has features.
        training: see ``Training``.
        penalty: half of it times the squared coefficients of features of unit mean square is added
            to the negative log likelihood.
    """
    mass, square = (sum(s) for s in zip(*(_sizes(b, training(b)) for b in batches()), strict=True))
    mean_square = square / np.maximum(mass, 1.0)[:, None]
    ridge = np.concatenate([np.zeros((len(mass), 1)), penalty * mean_square], axis=1)
    point = np.zeros(ridge.shape)
    best, step = np.full(len(mass), np.inf), np.zeros(ridge.shape)
    done = np.zeros(len(mass), np.bool_)
    for _ in range(PASSES):
        tried = point + step
        found = _loss(batches, training, tried, ridge)
        better = ~done & (found.loss <= best)
        point = np.where(better[:, None], tried, point)
        best = np.where(better, found.loss, best)
        step /= 2
        for i in np.flatnonzero(better):
            step[i] = -np.linalg.lstsq(found.curvature[i], found.gradient[i], rcond=1e-13)[0]
            # Newton's decrement: what is left to gain; the last step squares it away.
            if -step[i] @ found.gradient[i] <= 1e-10 * max(mass[i], 1.0):
                point[i] += step[i]
                done[i] = True
        if done.all():
            break
    return point


@dataclass(frozen=True)
class _Loss:
    """Negative log likelihood, shape (P,), its gradient (P, p) and curvature (P, p, p)."""

    loss: Floats
    gradient: Floats
    curvature: Floats


def _sizes(batch: EvaluationBatch, use: Floats) -> tuple[Floats, Floats]:
    """Rounds and sums of squared features of the shown items, of each classifier."""
    shown = _features(batch)[batch.shown]
    return use.sum(0), use.T @ shown**2


def _loss(batches: Batches, training: Training, point: Floats, ridge: Floats) -> _Loss:
    p = point.shape[1]
    loss = (ridge * point**2).sum(1) / 2
    gradient = ridge * point
    curvature = ridge[:, :, None] * np.eye(p)
    for batch in batches():
        use, features = training(batch), _features(batch)
        _add(features[batch.shown], use, 1.0, point, loss, gradient, curvature)
        row, at_once = rows(batch.offsets), max(CANDIDATES_AT_ONCE // p, 1)
        for start in range(0, len(row), at_once):
            part = slice(start, start + at_once)
            mass = batch.target[part, None] * use[row[part]]
            _add(features[part], mass, -1.0, point, loss, gradient, curvature)
    return _Loss(loss, gradient, curvature)


def _add(
    features: Floats,
    mass: Floats,
    sign: float,
    point: Floats,
    loss: Floats,
    gradient: Floats,
    curvature: Floats,
) -> None:
    """Add rows of label 0 (sign 1) or 1 (sign -1), weighing (k, P), to the three sums."""
    x = np.concatenate([np.ones((len(features), 1)), features], axis=1)
    logit = sign * log_ratio(features, point)
    chance = 1 / (1 + np.exp(-logit))
    loss += (mass * np.logaddexp(0.0, logit)).sum(0)
    gradient += sign * ((mass * chance).T @ x)
    bend = mass * chance * (1 - chance)
    for i in range(len(point)):
        curvature[i] += (x * bend[:, i, None]).T @ x


def _features(batch: EvaluationBatch) -> Floats:
    if batch.features is None:
        raise ValueError(
            "balanced_ipw needs features of every candidate; give the batch features, or use snips"
        )
    return batch.features
