"""Cells of IPS, SNIPS and DR over items in classes of equal propensity, target and reward."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ope._cells import Estimator, Floats, Problem, Sums
from benchmarks.ope._fitted import FOLDS, fitted

CONTEXTS = 2
LATENT = (0.4, 1.6)


@dataclass(frozen=True)
class World:
    """Types of users: T types, S contexts, J classes a context.

    Attributes:
        probability: float64, shape (T,).
        context: int64, shape (T,).
        count: int64, shape (T, J), rows by class.
        clicks: int64, shape (T, J), rows with reward 1 by class.
        propensity: float64, shape (S, J), of one item.
        target: float64, shape (S, J), of one item.
        size: int64, shape (J,), items in the class.
        q: float64, shape (S, J), a reward model with errors.
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

    @classmethod
    def of(
        cls,
        size: NDArray[np.int64],
        propensity: Floats,
        target: Floats,
        mean: Floats,
        rows_per_user: int = 1,
        latent: tuple[float, ...] = LATENT,
    ) -> World:
        """A world with these probabilities and mean rewards of one item, each (S, J).

        Users who come more than once keep their context, and a factor on all their rewards.

        Raises:
            ValueError: a click rate is above 1.
        """
        effects = latent if rows_per_user > 1 else (1.0,)
        if mean.max() * max(effects) >= 1:
            raise ValueError("a click rate above 1")
        types = list(_types(size * propensity, mean, rows_per_user, effects))
        return cls(
            probability=np.array([t[0] for t in types]),
            context=np.array([t[1] for t in types]),
            count=np.array([t[2] for t in types]),
            clicks=np.array([t[3] for t in types]),
            propensity=propensity,
            target=target,
            size=size,
            q=mean * np.where(np.arange(len(size)) % 2, 1.3, 0.6),
            truth=float((size * target * mean).sum(1).mean()),
            rows_per_user=rows_per_user,
        )

    def problem(self, users: int, propensity: str = "true") -> Problem:
        """Its estimators, with ``true`` or with ``estimated`` propensities.

        Estimates are what ``mrlm.ope.propensity.estimate_propensities`` makes with one intercept
        (``item``) a class and context.
        """
        reference = estimators(self, self.propensity[None])
        if propensity == "true":
            return Problem(
                self.probability, users, self.rows_per_user, self.truth, lambda _: reference,
                _flat(reference),
            )  # fmt: skip

        def from_log(drawn: NDArray[np.int64]) -> Mapping[str, Estimator]:
            of_fold = fitted(self.class_counts(drawn), self.size)
            parts = [estimators(self, of_fold[:, k]) for k in range(FOLDS)]
            return {name: _beside([p[name] for p in parts], drawn.shape) for name in parts[0]}

        return Problem(
            self.probability, users, self.rows_per_user, self.truth, from_log, _flat(reference),
            FOLDS,
        )  # fmt: skip

    def class_counts(self, drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows by fold, context and class, shape (R, FOLDS, S, J)."""
        contexts = range(len(self.propensity))
        folds = drawn.reshape(len(drawn), FOLDS, -1)
        here = [self.context == s for s in contexts]
        return np.stack([folds[:, :, h] @ self.count[h] for h in here], axis=2)


@dataclass(frozen=True)
class PlainCell:
    """One world and log size.

    Attributes:
        items: K.
        rows: n.
        rate: mean reward under the logger, clicks of 0 and 1.
        distance: of target from logger: ``near``, ``far``, ``soft`` (9/10 on one item of each
            context, the rest uniform) or ``sharp`` (all on one item, uniform logger).
        rows_per_user: rows of every user; above 1 users keep their context and their taste.
        propensity: ``true``, or ``estimated``, see ``World.problem``.
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

    @property
    def refitted(self) -> bool:
        """Whether models are fitted to every log."""
        return self.propensity == "estimated"

    def problem(self) -> Problem:
        """The world and its estimators."""
        return self.world().problem(self.rows // self.rows_per_user, self.propensity)

    def world(self) -> World:
        """The world of the cell; it has no randomness of its own."""
        size = sizes(self.items, 12 if self.rows_per_user == 1 else 6)
        classes = len(size)
        taste = _normal_quantiles(classes)[::-1]
        # The second context likes another half of the catalogue.
        score = np.stack([taste, np.roll(taste, classes // 2)])
        uniform = np.full((CONTEXTS, classes), 1.0 / self.items)
        one = np.zeros_like(uniform)
        best = score.argmax(1)
        # The favourite is one item of its class.
        one[np.arange(CONTEXTS), best] = 1.0 / size[best]
        crooked = softmax(0.5 * np.roll(score, 1, axis=1), size)
        logger = uniform if self.distance == "sharp" else crooked
        target = {
            "near": softmax(0.8 * score, size),
            "far": softmax(2.0 * score, size),
            "soft": 0.9 * one + 0.1 * uniform,
            "sharp": one,
        }[self.distance]
        mean = rewards(np.exp(0.3 * score), self.rate, size * logger)
        return World.of(size, logger, target, mean, self.rows_per_user)


def estimators(w: World, propensity: Floats) -> dict[str, Estimator]:
    """IPS, SNIPS and DR, given the propensities (1 or R, S, J) of one item."""
    shape = np.broadcast_shapes(propensity.shape, w.target.shape)
    weight = np.divide(w.target, propensity, out=np.zeros(shape), where=propensity > 0)
    mine = weight[:, w.context]  # (1 or R, T, J)
    q = w.q[w.context]
    direct = (w.size * w.target * w.q).sum(1)[w.context] * w.rows_per_user
    weights, clicks = (mine * w.count).sum(2), (mine * w.clicks).sum(2)
    rows = np.full_like(weights, float(w.rows_per_user))
    shared = {
        "reward": clicks,
        "weight": weights,
        "square": (mine**2 * w.count).sum(2),
        "largest": np.where(w.count > 0, mine, 0.0).max(2),
        "matched": ((mine > 0) * w.count).sum(2).astype(float),
        "nonzero": ((mine > 0) * w.clicks).sum(2).astype(float),
        "expected": (w.size * w.target * weight).sum(2)[:, w.context] * w.rows_per_user,
    }
    pairs = {
        "ips": (clicks, rows),
        "snips": (clicks, weights),
        "dr": (direct + clicks - (mine * w.count * q).sum(2), rows),
    }
    return {name: Estimator.plain(Sums(*pair, **shared)) for name, pair in pairs.items()}


def rewards(shape: Floats, rate: float, share: Floats) -> Floats:
    """Mean rewards (S, J) of this shape whose mean under the classes' shares (S, J) is the rate."""
    found: Floats = rate * shape / (share * shape).sum(1).mean()
    return found


def sizes(items: int, classes: int) -> NDArray[np.int64]:
    """Items of each class: one in the favourites', the rest shared out evenly."""
    if items <= classes:
        return np.ones(items, np.int64)
    size = np.ones(classes, np.int64)
    others = np.full(classes, (items - 2) // (classes - 2))
    others[: (items - 2) % (classes - 2)] += 1
    places = [k for k in range(classes) if k not in (0, classes // 2)]
    size[places] = others[: classes - 2]
    return size


def softmax(score: Floats, size: NDArray[np.int64]) -> Floats:
    """Probabilities of one item of each class, from scores (S, J)."""
    x = np.exp(score)
    found: Floats = x / (size * x).sum(1, keepdims=True)
    return found


def _types(
    share: Floats, mean: Floats, rows: int, effects: tuple[float, ...]
) -> Iterator[tuple[float, int, list[int], list[int]]]:
    """Probability, context, rows and clicks by class of every type of user."""
    contexts, classes = share.shape
    for context in range(contexts):
        outcomes = [(j, r) for j in range(classes) for r in (0, 1)]
        p = [
            [
                share[context, j] * (e * mean[context, j] if r else 1 - e * mean[context, j])
                for j, r in outcomes
            ]
            for e in effects
        ]
        for drawn in itertools.combinations_with_replacement(range(len(outcomes)), rows):
            orders = math.factorial(rows)
            for k in set(drawn):
                orders //= math.factorial(drawn.count(k))
            chance = sum(orders * math.prod(pe[k] for k in drawn) for pe in p) / len(effects)
            count, clicks = [0] * classes, [0] * classes
            for k in drawn:
                j, r = outcomes[k]
                count[j] += 1
                clicks[j] += r
            yield chance / contexts, context, count, clicks


def _flat(found: Mapping[str, Estimator]) -> dict[str, Estimator]:
    """Sums (1, T) as (T,)."""
    return {
        name: Estimator.plain(Sums(**{k: v[0] for k, v in vars(e.low).items()}))
        for name, e in found.items()
    }


def _beside(parts: list[Estimator], shape: tuple[int, ...]) -> Estimator:
    """The folds' sums side by side, as the counts are."""
    whole = (shape[0], shape[1] // len(parts))
    joined = {
        k: np.concatenate([np.broadcast_to(getattr(p.low, k), whole) for p in parts], axis=1)
        for k in vars(parts[0].low)
    }
    return Estimator.plain(Sums(**joined))


def _normal_quantiles(number: int) -> Floats:
    from scipy.special import ndtri

    found: Floats = ndtri((np.arange(number) + 0.5) / number)
    return found
