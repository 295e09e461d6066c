"""Estimated propensities of many logs at once, from counts of the classes that were shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FOLDS = 5
RIDGE = 1.0
STEPS = 60
LIMIT = 20.0


def fitted(counts: NDArray[np.int64], size: NDArray[np.int64]) -> Floats:
    """Propensity of one item as ``mrlm.ope.propensity.estimate_propensities`` estimates it.

    With one intercept (``item``) a class and context, defaults otherwise: a logit with a ridge of
    1, cross-fitted over five folds of users, calibrated by a temperature of the other folds.

    Args:
        counts: shape (R, F, S, J), rounds by log, fold, context and class.
        size: shape (J,), items of each class.

    Returns:
        Shape (R, F, S, J): for the users of each fold.
    """
    logits = np.stack(
        [_logit(counts.sum(1) - counts[:, k], size) for k in range(counts.shape[1])], axis=1
    )
    out = np.empty_like(logits)
    for k in range(counts.shape[1]):
        others = [f for f in range(counts.shape[1]) if f != k]
        sharpness = _sharpness(logits[:, others], counts[:, others], size)
        out[:, k] = _item_probability(logits[:, k] * sharpness[:, None, None], size)
    return out


def _item_probability(logits: Floats, size: NDArray[np.int64]) -> Floats:
    x = np.exp(logits - logits.max(-1, keepdims=True))
    found: Floats = x / (size * x).sum(-1, keepdims=True)
    return found


def _logit(counts: NDArray[np.int64], size: NDArray[np.int64]) -> Floats:
    """Penalised maximum likelihood by Newton's method, counts (R, S, J) giving logits (R, S, J)."""
    rounds = counts.sum(2, keepdims=True).astype(float)
    b = np.zeros(counts.shape)
    eye = np.eye(counts.shape[2])
    for _ in range(STEPS):
        p = size * _item_probability(b, size)
        gradient = rounds * p - counts + RIDGE * b
        hessian = (rounds * p + RIDGE)[..., None] * eye - rounds[..., None] * (
            p[..., :, None] * p[..., None, :]
        )
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        # A class that was never shown moves by one a step, and may not jump.
        b -= np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return b


def _sharpness(logits: Floats, counts: NDArray[np.int64], size: NDArray[np.int64]) -> Floats:
    """The best factor on the logits, 1 / temperature, shape (R,): convex, so by Newton's method."""
    u = np.ones(len(logits))
    rounds = counts.sum(3)
    for _ in range(STEPS):
        p = size * _item_probability(logits * u[:, None, None, None], size)
        mean = (p * logits).sum(3)
        slope = (rounds * mean).sum((1, 2)) - (counts * logits).sum((1, 2, 3))
        curve = (rounds * ((p * logits**2).sum(3) - mean**2)).sum((1, 2))
        step = np.divide(slope, curve, out=np.zeros_like(u), where=curve > 0)
        new = np.clip(u - np.clip(step, -0.5, 0.5), 1 / LIMIT, LIMIT)
        if np.abs(new - u).max() < 1e-10:
            break
        u = new
    return u
