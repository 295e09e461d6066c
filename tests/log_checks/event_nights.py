"""Nights of events that vary as those of real sites do, and what may be lost of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mrlm.log_checks.losses import NightEvents, losses

Lose = Callable[[NDArray[np.int64]], NDArray[np.int64]]
ERROR = 0.03


class World:
    """Nights of a site whose traffic, rates, hours and items vary as those of real sites do.

    Rates of a night move together by 5 % and each by 3 %, those of an item by 15 %, an hour's share
    by 10 %, the number of slots by 10 %.
    """

    def __init__(self, g: np.random.Generator, slots: int, rates: tuple[float, ...]) -> None:
        self.g, self.slots = g, slots
        self.popularity = g.dirichlet(np.full(200, 0.5))
        self.rates = [r * np.exp(g.normal(0, 0.5, 200)) for r in rates]
        self.profile = np.exp(1.2 * np.sin(np.arange(24) / 12 * np.pi))

    def night(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Slots by item, and events by item and hour, of each event."""
        g = self.g
        shows = g.multinomial(int(self.slots * np.exp(g.normal(0, 0.1))), self.popularity)
        common, out = g.normal(0, 0.05), []
        for rate in self.rates:
            moved = rate * np.exp(common + g.normal(0, 0.03) + g.normal(0, 0.15, 200))
            profile = self.profile * np.exp(g.normal(0, 0.1, 24))
            hits = g.binomial(shows, np.clip(moved, 0, 0.95))
            out.append((shows, g.multinomial(hits, profile / profile.sum())))
        return out


def events(
    night: list[tuple[NDArray[np.int64], NDArray[np.int64]]], lose: Lose | None = None
) -> list[NightEvents]:
    """What arrived, where the first event loses some of its rows."""
    found = []
    for j, (shows, hits) in enumerate(night):
        came = lose(hits) if lose is not None and j == 0 else hits
        by_hour = came.sum(0).astype(float)
        found.append(NightEvents(int(shows.sum()), int(came.sum()), by_hour, shows, came.sum(1)))
    return found


def share_found(
    seed: int, lose: Callable[[np.random.Generator], Lose] | None, nights: int
) -> float:
    """Share of nights with a finding: of the first event, or of any where nothing is lost."""
    g = np.random.default_rng(seed)
    found = 0
    for _ in range(nights):
        world = World(g, 20_000, (0.12, 0.05, 0.4))
        trailing = [events(world.night()) for _ in range(7)]
        now = losses(events(world.night(), None if lose is None else lose(g)), trailing, ERROR)
        found += bool(now[0].signs) if lose else any(loss.signs for loss in now)
    return found / nights


def at_random(share: float) -> Callable[[np.random.Generator], Lose]:
    """Each event with this probability."""
    return lambda g: lambda hits: g.binomial(hits, 1 - share)


def whole_hours(number: int) -> Callable[[np.random.Generator], Lose]:
    """Hours of the busier half of the day: at night an hour has too few events to be missed."""

    def lose(g: np.random.Generator) -> Lose:
        hours = g.choice(12, number, replace=False)
        return lambda hits: np.where(np.isin(np.arange(24), hours)[None, :], 0, hits)

    return lose


def whole_items(share: float) -> Callable[[np.random.Generator], Lose]:
    """A share of the items, each with all its events."""

    def lose(g: np.random.Generator) -> Lose:
        gone = g.random(200) < share
        return lambda hits: np.where(gone[:, None], 0, hits)

    return lose
