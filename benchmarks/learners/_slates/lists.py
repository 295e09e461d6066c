"""Lists that are filled slot by slot from one softmax with a floor: draws, and exact values.

Without a floor this is the model of Plackett (1975) and Luce (1959).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def slot_probabilities(scores: Floats, left: NDArray[np.bool_], floor: float) -> Floats:
    """Probability of every item in the next slot, 0 for those not left, shape (n, items).

    Args:
        scores: logits, float64, shape (n, items).
        left: bool, shape (items,) or (n, items), what the list does not show yet.
        floor: share of uniform exploration among what is left.
    """
    logits = np.where(left, scores, -np.inf)
    core = np.exp(logits - logits.max(axis=1, keepdims=True))
    core /= core.sum(axis=1, keepdims=True)
    return np.asarray((1 - floor) * core + floor * left / left.sum(-1, keepdims=True), np.float64)


def list_value(scores: Floats, appeal: Floats, slots: int, floor: float, leave: float) -> Floats:
    """Expected clicks on a list, over all lists and all clicks, float64, shape (n,).

    The user looks from the top down, clicks what appeals, and leaves after a click with chance
    ``leave``: 0 is a list whose items earn by themselves, 1 the cascade model (Craswell et al., An
    experimental comparison of click position-bias models, 2008). What matters of the slots above is
    which items they show and not in which order, so the sum is over sets.

    Args:
        scores: logits, float64, shape (n, items).
        appeal: chance of a click on what is looked at, float64, shape (n, items).
        slots: of a list.
        floor: share of uniform exploration in every slot.
        leave: chance that a click is the last.
    """
    n, items = scores.shape
    value = np.zeros(n)
    # Chance that the slots so far show these items and the user is still there.
    there: dict[tuple[int, ...], Floats] = {(): np.ones(n)}
    for slot in range(slots):
        further: dict[tuple[int, ...], Floats] = {
            above: np.zeros(n) for above in combinations(range(items), slot + 1)
        }
        for above, chance in there.items():
            left = ~np.isin(np.arange(items), above)
            shown = chance[:, None] * slot_probabilities(scores, left, floor)
            value += (shown * appeal).sum(axis=1)
            stays = shown * (1 - leave * appeal)
            for item in np.flatnonzero(left).tolist():
                further[tuple(sorted((*above, item)))] += stays[:, item]
        there = further
    return value


def draw_lists(
    scores: Floats, slots: int, floor: float, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """A list for each row, and the probabilities of all items in each of its slots.

    Args:
        scores: logits, float64, shape (n, items).
        slots: of a list.
        floor: share of uniform exploration in every slot.
        rng: of the draws.

    Returns:
        Items, int64, shape (n, slots); probabilities, float64, shape (n, slots, items).
    """
    n, row = len(scores), np.arange(len(scores))
    left = np.ones(scores.shape, np.bool_)
    shown, chances = np.zeros((n, slots), np.int64), np.zeros((n, slots, scores.shape[1]))
    for slot in range(slots):
        chances[:, slot] = slot_probabilities(scores, left, floor)
        # A little below 1, so that rounding leaves nothing beyond the last item.
        point = rng.random((n, 1)) * (1 - 1e-12)
        shown[:, slot] = (chances[:, slot].cumsum(axis=1) < point).sum(axis=1)
        left[row, shown[:, slot]] = False
    return shown, chances


def draw_clicks(appeal: Floats, leave: float, rng: np.random.Generator) -> Floats:
    """Clicks on lists whose items appeal so much, float64, shape as given, (n, slots).

    Args:
        appeal: float64, shape (n, slots).
        leave: chance that a click is the last; see ``list_value``.
        rng: of the draws.
    """
    clicks = rng.random(appeal.shape) < appeal
    left = clicks & (rng.random(appeal.shape) < leave)
    # Gone before a slot: left after a click in one above it.
    gone = np.cumsum(left, axis=1) - left > 0
    return np.asarray(clicks & ~gone, np.float64)
