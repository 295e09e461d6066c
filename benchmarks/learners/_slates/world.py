"""Eight items, one of which outshines the others for everyone; the rest are matters of taste."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.learners._slates.lists import Floats, Ints, draw_clicks, draw_lists

ITEMS, CONTEXT = 8, 5
LOGGER_FLOOR = 0.2


@dataclass(frozen=True)
class SlateWorld:
    """Chances of a click on an item that is looked at.

    Attributes:
        bias: log odds of every item, float64, shape (ITEMS,).
        taste: what each number of the context adds, float64, shape (CONTEXT, ITEMS).
        logger: scores that the logger has, whoever asks, float64, shape (ITEMS,).
        leave: chance that a click is a user's last in the list.
    """

    bias: Floats
    taste: Floats
    logger: Floats
    leave: float

    def appeal(self, context: Floats) -> Floats:
        """Chance of a click, float64, shape (n, ITEMS)."""
        return np.asarray(1 / (1 + np.exp(-(self.bias + context @ self.taste))), np.float64)


@dataclass(frozen=True)
class LoggedLists:
    """n lists of so many slots.

    Attributes:
        context: float64, shape (n, CONTEXT).
        shown: items, int64, shape (n, slots).
        chances: of all items in each slot, float64, shape (n, slots, ITEMS); 0 for those above.
        clicks: float64, shape (n, slots).
    """

    context: Floats
    shown: Ints
    chances: Floats
    clicks: Floats


def drawn_world(seed: int, leave: float) -> SlateWorld:
    """A world by its seed; the outshining item has a chance of .73 at the mean context."""
    rng = np.random.default_rng(seed)
    bias = rng.normal(-2.0, 1.0, ITEMS)
    bias[rng.integers(ITEMS)] = 1.0
    taste = rng.normal(0.0, 0.7 / np.sqrt(CONTEXT), (CONTEXT, ITEMS))
    return SlateWorld(bias, taste, rng.normal(0.0, 0.5, ITEMS), leave)


def drawn_contexts(n: int, rng: np.random.Generator) -> Floats:
    """Of n requests, float64, shape (n, CONTEXT)."""
    return rng.normal(size=(n, CONTEXT))


def logged_lists(world: SlateWorld, n: int, slots: int, rng: np.random.Generator) -> LoggedLists:
    """What the logger shows in n requests, and what is clicked."""
    context = drawn_contexts(n, rng)
    scores = np.broadcast_to(world.logger, (n, ITEMS))
    shown, chances = draw_lists(scores, slots, LOGGER_FLOOR, rng)
    appeal = np.take_along_axis(world.appeal(context), shown, axis=1)
    return LoggedLists(context, shown, chances, draw_clicks(appeal, world.leave, rng))
