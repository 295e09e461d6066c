"""Cells of slate estimators over lists whose slots are drawn independently given the context."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ope._cells import Estimator, Floats, Problem, Sums

SLOTS = 3
ITEMS = 4
CONTEXTS = 2


@dataclass(frozen=True)
class SlateCell:
    """One world and log size.

    Attributes:
        rows: slates.
        rate: mean reward of a slot under the logger, clicks of 0 and 1.
        distance: of the target: ``near``, ``far`` or ``sharp`` (one list a context, uniform
            logger).
        holds: whether the reward of a slot depends on its own item only, as IIPS and PI assume; or
            also on whether the slot above shows the same item.
    """

    rows: int
    rate: float
    distance: str
    holds: bool

    @property
    def key(self) -> str:
        """Name of the cell, unique in the grid."""
        return "slate/" + "/".join(f"{k}={v}" for k, v in asdict(self).items())

    @property
    def refitted(self) -> bool:
        """Nothing is fitted."""
        return False

    def problem(self) -> Problem:
        """SIPS, which assumes nothing, and IIPS and PI, vouched for only where they may be."""
        policies = _policies(self.distance)
        parts = [_types(self, policies[0][s], policies[1][s], s) for s in range(CONTEXTS)]
        probability = np.concatenate([p[0] for p in parts]) / CONTEXTS
        clicks, ratio = (np.concatenate([p[k] for p in parts]) for k in (1, 2))
        truth = float(np.mean([p[3] for p in parts]))
        found = _estimators(clicks, ratio, self.holds)
        return Problem(probability, self.rows, 1, truth, lambda _: found, found)


def _policies(distance: str) -> tuple[Floats, Floats]:
    """Probabilities of every item in every slot under logger and target, (S, SLOTS, ITEMS)."""
    taste = np.linspace(1.2, -1.2, ITEMS)
    score = np.stack([[np.roll(taste, s + k) for k in range(SLOTS)] for s in range(CONTEXTS)])
    if distance == "sharp":
        best = score.argmax(2)[:, :, None]
        one = (np.arange(ITEMS) == best).astype(float)
        return np.full(score.shape, 1 / ITEMS), one
    logger = _softmax(0.4 * np.roll(score, 1, axis=2))
    return logger, _softmax({"near": 0.5, "far": 1.1}[distance] * score)


def _types(
    cell: SlateCell, logger: Floats, target: Floats, context: int
) -> tuple[Floats, NDArray[np.int64], Floats, float]:
    """Probability (T,), clicks and ratio by slot (T, SLOTS) of a context's types; its value."""
    lists = np.array(list(itertools.product(range(ITEMS), repeat=SLOTS)))
    slot = np.arange(SLOTS)
    mean = cell.rate * (1.3 - 0.2 * np.roll(np.arange(ITEMS), context)[lists]) * 0.9**slot
    if not cell.holds:
        same = np.zeros(lists.shape, np.bool_)
        same[:, 1:] = lists[:, 1:] == lists[:, :-1]
        mean = np.where(same, 0.2 * mean, 1.3 * mean)
    p, t = logger[slot, lists], target[slot, lists]
    clicks = np.array(list(itertools.product((0, 1), repeat=SLOTS)))
    chance = np.where(clicks[None], mean[:, None], 1 - mean[:, None]).prod(2)
    return (
        (p.prod(1)[:, None] * chance).ravel(),
        np.tile(clicks, (len(lists), 1)),
        np.repeat(t / p, len(clicks), axis=0),
        float((t.prod(1) * mean.sum(1)).sum()),
    )


def _estimators(clicks: NDArray[np.int64], ratio: Floats, holds: bool) -> dict[str, Estimator]:
    whole, slots = ratio.prod(1), ratio.mean(1)
    pseudo = 1.0 - SLOTS + ratio.sum(1)
    total = clicks.sum(1).astype(float)
    list_sums = _pair(whole * total, whole, total)
    slot_sums = _pair((ratio * clicks).sum(1), slots, total)
    pi_sums = _pair(pseudo * total, pseudo, total)
    found = {}
    for (plain, normalised), sums, covers in (
        (("sips", "snsips"), list_sums, True),
        (("iips", "sniips"), slot_sums, holds),
        (("pi", "snpi"), pi_sums, holds),
    ):
        found[plain] = Estimator.plain(sums[0], covers)
        found[normalised] = Estimator.plain(sums[1], covers)
    return found


def _pair(numerator: Floats, weight: Floats, total: Floats) -> tuple[Sums, Sums]:
    """Sums of the plain and of the self-normalised form, whose weights are the same."""
    shared = {
        "numerator": numerator,
        "reward": numerator,
        "weight": weight,
        "square": weight**2,
        "largest": np.maximum(weight, 0.0),
        "matched": (weight > 0).astype(float),
        "nonzero": ((weight > 0) & (total > 0)).astype(float),
        "expected": np.full(len(weight), np.nan),
    }
    return Sums(denominator=np.ones(len(weight)), **shared), Sums(denominator=weight, **shared)


def _softmax(score: Floats) -> Floats:
    x = np.exp(score)
    found: Floats = x / x.sum(-1, keepdims=True)
    return found
