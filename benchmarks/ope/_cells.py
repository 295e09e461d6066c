"""Cells of the coverage grid: small exact worlds whose logs are multinomial counts.

Users who are exchangeable are drawn as counts of user types, so a log of a million rows costs as
much as one of five hundred. Items come in classes of equal propensity, target and reward.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.diagnostics import Diagnostics
from mrlm.ope.intervals.student import Moments

Floats = NDArray[np.float64]
ESTIMATORS = ("ips", "snips", "dr")
CONTEXTS = 2
LATENT = (0.4, 1.6)
AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Cell:
    """One world and log size.

    Attributes:
        items: K.
        rows: n.
        rate: mean reward under the logger, clicks of 0 and 1.
        distance: of target from logger: ``near``, ``far``, ``soft`` (9/10 on one item of each
            context, the rest uniform) or ``sharp`` (all on one item, uniform logger).
        rows_per_user: rows of every user; above 1 users keep their context and their taste.
        propensity: ``true``, or ``estimated`` by the share of the class in its context.
    """

    items: int
    rows: int
    rate: float
    distance: str
    rows_per_user: int = 1
    propensity: str = "true"

    @property
    def key(self) -> str:
        """Name of the cell, unique in the grid."""
        return "/".join(f"{k}={v}" for k, v in asdict(self).items())


@dataclass(frozen=True)
class World:
    """Types of users: T types, J classes a context.

    Attributes:
        probability: float64, shape (T,).
        context: int64, shape (T,).
        count: int64, shape (T, J), rows by class.
        clicks: int64, shape (T, J), rows with reward 1 by class.
        propensity: float64, shape (CONTEXTS, J), of one item.
        target: float64, shape (CONTEXTS, J), of one item.
        size: int64, shape (J,), items in the class.
        q: float64, shape (CONTEXTS, J), a reward model with errors.
        truth: value of the target.
        rows_per_user: rows of every user.
    """

    probability: Floats
    context: NDArray[np.int64]
    count: NDArray[np.int64]
    clicks: NDArray[np.int64]
    propensity: Floats
    target: Floats
    size: NDArray[np.int64]
    q: Floats
    truth: float
    rows_per_user: int


@dataclass(frozen=True)
class Repetitions:
    """What R logs of a cell give for one estimator, arrays of shape (R,)."""

    value: Floats
    moments: Moments
    diagnostics: tuple[Diagnostics, ...]


def world(cell: Cell) -> World:
    """The world of a cell; it has no randomness of its own."""
    size = _sizes(cell.items, 12 if cell.rows_per_user == 1 else 6)
    classes = len(size)
    taste = _normal_quantiles(classes)[::-1]
    # The second context likes another half of the catalogue.
    score = np.stack([taste, np.roll(taste, classes // 2)])
    uniform = np.full((CONTEXTS, classes), 1.0 / cell.items)
    crooked = _softmax(0.5 * np.roll(score, 1, axis=1), size)
    best = score.argmax(1)
    one = np.zeros_like(uniform)
    # The favourite is one item of its class.
    one[np.arange(CONTEXTS), best] = 1.0 / size[best]
    logger = uniform if cell.distance == "sharp" else crooked
    target = {
        "near": _softmax(0.8 * score, size),
        "far": _softmax(2.0 * score, size),
        "soft": 0.9 * one + 0.1 * uniform,
        "sharp": one,
    }[cell.distance]
    shape = np.exp(0.3 * score)
    mean = cell.rate * shape / (size * logger * shape).sum(1).mean()
    if mean.max() * max(LATENT) >= 1:
        raise ValueError(f"{cell.key}: a click rate above 1")
    q = mean * np.where(np.arange(classes) % 2, 1.3, 0.6)
    truth = float((size * target * mean).sum(1).mean())
    types = list(_types(cell, size * logger, mean))
    return World(
        probability=np.array([t[0] for t in types]),
        context=np.array([t[1] for t in types]),
        count=np.array([t[2] for t in types]),
        clicks=np.array([t[3] for t in types]),
        propensity=logger,
        target=target,
        size=size,
        q=q,
        truth=truth,
        rows_per_user=cell.rows_per_user,
    )


def _types(
    cell: Cell, share: Floats, mean: Floats
) -> Iterator[tuple[float, int, list[int], list[int]]]:
    """Probability, context, rows and clicks by class of every type of user."""
    classes, m = share.shape[1], cell.rows_per_user
    effects = LATENT if m > 1 else (1.0,)
    for context in range(CONTEXTS):
        outcomes = [(j, r) for j in range(classes) for r in (0, 1)]
        p = [
            [
                share[context, j] * (e * mean[context, j] if r else 1 - e * mean[context, j])
                for j, r in outcomes
            ]
            for e in effects
        ]
        for drawn in itertools.combinations_with_replacement(range(len(outcomes)), m):
            orders = math.factorial(m)
            for k in set(drawn):
                orders //= math.factorial(drawn.count(k))
            chance = sum(orders * math.prod(pe[k] for k in drawn) for pe in p) / len(effects)
            count, clicks = [0] * classes, [0] * classes
            for k in drawn:
                j, r = outcomes[k]
                count[j] += 1
                clicks[j] += r
            yield chance / CONTEXTS, context, count, clicks


def repetitions(cell: Cell, number: int, seed: int) -> dict[str, Repetitions]:
    """Estimates, moments and diagnostics of ``number`` logs, by estimator."""
    w = world(cell)
    g = np.random.default_rng(seed)
    groups = cell.rows // cell.rows_per_user
    step = max(1, AT_ONCE // len(w.probability))
    parts = []
    for start in range(0, number, step):
        drawn = g.multinomial(groups, w.probability, size=min(step, number - start))
        parts.append(_estimates(w, drawn, cell))
    return {name: _joined([p[name] for p in parts]) for name in ESTIMATORS}


def _estimates(w: World, drawn: NDArray[np.int64], cell: Cell) -> dict[str, Repetitions]:
    propensity = w.propensity[None]
    if cell.propensity == "estimated":
        propensity = _estimated(w, drawn)
    weight = np.divide(
        w.target,
        propensity,
        out=np.zeros(np.broadcast_shapes(propensity.shape, w.target.shape)),
        where=propensity > 0,
    )
    mine = weight[:, w.context]  # (1 or R, T, J)
    q = w.q[w.context]
    direct = (w.size * w.target * w.q).sum(1)[w.context] * w.rows_per_user
    weights = (mine * w.count).sum(2)
    clicks = (mine * w.clicks).sum(2)
    residual = clicks - (mine * w.count * q).sum(2)
    rows = np.full_like(weights, float(w.rows_per_user))
    squares = (mine**2 * w.count).sum(2)
    largest = np.where(w.count > 0, mine, 0.0).max(2)
    nonzero = ((mine > 0) * w.clicks).sum(2)
    matched = ((mine > 0) * w.count).sum(2)
    seen = _diagnostics(drawn, weights, squares, largest, nonzero, matched, w.rows_per_user)
    pairs = {"ips": (clicks, rows), "snips": (clicks, weights), "dr": (direct + residual, rows)}
    return {name: _one(drawn, *pair, seen) for name, pair in pairs.items()}


def _one(
    drawn: NDArray[np.int64], numerator: Floats, denominator: Floats, seen: tuple[Diagnostics, ...]
) -> Repetitions:
    total = (drawn * denominator).sum(1)
    safe = np.where(total > 0, total, np.nan)
    value = (drawn * numerator).sum(1) / safe
    influence = (numerator - value[:, None] * denominator) / safe[:, None]
    here = drawn > 0
    largest = np.where(here, np.abs(influence), 0.0).max(1)
    scale = np.where(largest > 0, largest, 1.0)
    x = influence / scale[:, None]
    square = x * x * drawn
    moments = Moments(
        groups=drawn.sum(1),
        scale=scale,
        second=square.sum(1),
        third=(square * x).sum(1),
        fourth=(square * x * x).sum(1),
    )
    return Repetitions(value, moments, seen)


def _diagnostics(
    drawn: NDArray[np.int64],
    weights: Floats,
    squares: Floats,
    largest: Floats,
    nonzero: NDArray[np.int64],
    matched: NDArray[np.int64],
    rows_per_user: int,
) -> tuple[Diagnostics, ...]:
    users = drawn.sum(1)
    rows = users * rows_per_user
    total, square = (drawn * weights).sum(1), (drawn * squares).sum(1)
    by_user = drawn * weights**2
    user_square = by_user.sum(1)
    fourth = (by_user * weights**2).sum(1)
    mean = total / rows
    residual = (drawn * (weights - mean[:, None] * rows_per_user) ** 2).sum(1)
    error = np.sqrt(users / (users - 1) * residual) / rows
    top = np.where(drawn > 0, largest, 0.0).max(1)
    clicked = (drawn * nonzero).sum(1)
    hit = (drawn * matched).sum(1)
    safe = np.where(total > 0, total, np.nan)
    return tuple(
        Diagnostics(
            policy="target",
            objective="click",
            rows=int(rows[i]),
            users=int(users[i]),
            effective_sample_size=float(total[i] ** 2 / square[i]) if square[i] else 0.0,
            effective_users=float(total[i] ** 2 / user_square[i]) if user_square[i] else 0.0,
            largest_weight=float(top[i]),
            largest_weight_share=float(top[i] / safe[i]) if total[i] else 1.0,
            mean_weight=float(mean[i]),
            mean_weight_standard_error=float(error[i]),
            unsupported_mass=0.0,
            nonzero=int(clicked[i]),
            matched=int(hit[i]),
            tail_users=float(user_square[i] ** 2 / fourth[i]) if fourth[i] else 0.0,
        )
        for i in range(len(drawn))
    )


def _estimated(w: World, drawn: NDArray[np.int64]) -> Floats:
    """Share of every class among the rows of its context, of one item, shape (R, CONTEXTS, J)."""
    counts = np.stack(
        [(drawn[:, w.context == s] @ w.count[w.context == s]) for s in range(CONTEXTS)], axis=1
    )
    found: Floats = counts / counts.sum(2, keepdims=True) / w.size
    return found


def _joined(parts: list[Repetitions]) -> Repetitions:
    names = ("groups", "scale", "second", "third", "fourth")
    return Repetitions(
        np.concatenate([p.value for p in parts]),
        Moments(**{n: np.concatenate([getattr(p.moments, n) for p in parts]) for n in names}),
        tuple(itertools.chain.from_iterable(p.diagnostics for p in parts)),
    )


def _sizes(items: int, classes: int) -> NDArray[np.int64]:
    """Items of each class: one in the favourites', the rest shared out evenly."""
    if items <= classes:
        return np.ones(items, np.int64)
    size = np.ones(classes, np.int64)
    others = np.full(classes, (items - 2) // (classes - 2))
    others[: (items - 2) % (classes - 2)] += 1
    places = [k for k in range(classes) if k not in (0, classes // 2)]
    size[places] = others[: classes - 2]
    return size


def _normal_quantiles(number: int) -> Floats:
    from scipy.special import ndtri

    found: Floats = ndtri((np.arange(number) + 0.5) / number)
    return found


def _softmax(score: Floats, size: NDArray[np.int64]) -> Floats:
    x = np.exp(score)
    found: Floats = x / (size * x).sum(1, keepdims=True)
    return found
