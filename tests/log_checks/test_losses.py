"""Lost events are found by their rates, hours and items, and whole nights are left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
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
    return lambda g: lambda hits: g.binomial(hits, 1 - share)


def some_hours(g: np.random.Generator) -> Lose:
    hours = 6 + g.choice(6, 2, replace=False)
    return lambda hits: np.where(np.isin(np.arange(24), hours)[None, :], 0, hits)


def some_items(g: np.random.Generator) -> Lose:
    gone = g.random(200) < 0.25
    return lambda hits: np.where(gone[:, None], 0, hits)


def test_whole_nights_are_left_alone() -> None:
    """Each is called incomplete with probability at most .03: more than 9 of 100 with p < .001."""
    assert share_found(0, None, 100) <= 0.09


@pytest.mark.parametrize(
    "lose", [at_random(0.4), some_hours, some_items], ids=["two fifths", "two hours", "items"]
)
def test_losses_are_found(lose: Callable[[np.random.Generator], Lose]) -> None:
    """Found with probability .99 or more: fewer than 36 of 40 has a chance below .001."""
    assert share_found(1, lose, 40) >= 0.9


def test_the_smallest_loss_is_found_with_the_power_that_is_said() -> None:
    """Eighty of 100 are to be found; outside of 66 to 94 with a chance below .001 each way.

    The trailing nights' own luck moves the limit from world to world, so each world loses its own.
    """
    g = np.random.default_rng(2)
    found = 0
    for _ in range(100):
        world = World(g, 20_000, (0.12, 0.05, 0.4))
        trailing = [events(world.night()) for _ in range(7)]
        whole = world.night()
        limit = losses(events(whole), trailing, ERROR)[0].smallest_loss
        assert 0.05 < limit < 0.4
        lost = losses(events(whole, at_random(limit)(g)), trailing, ERROR)[0]
        found += any(f.sign.startswith("rate") for f in lost.signs)
    assert 66 <= found <= 94


def test_a_finding_says_how_many_and_where() -> None:
    g = np.random.default_rng(3)
    world = World(g, 50_000, (0.2, 0.1))
    trailing = [events(world.night()) for _ in range(7)]
    night = world.night()
    nothing = losses(events(night, lambda hits: hits * 0), trailing, ERROR)[0]
    rate = next(f for f in nothing.signs if f.sign == "rate")
    assert rate.observed == 0
    assert rate.expected == pytest.approx(night[0][1].sum(), rel=0.3)
    hours = losses(
        events(night, lambda hits: np.where(np.arange(24) == 7, 0, hits)), trailing, ERROR
    )[0]
    found = next(f for f in hours.signs if f.sign == "hours")
    assert found.where == (7,)
    assert found.expected == pytest.approx(night[0][1][:, 7].sum(), rel=0.3)
    top = int(np.argmax(night[0][1].sum(1)))
    silent = losses(
        events(night, lambda hits: np.where(np.arange(200)[:, None] == top, 0, hits)),
        trailing,
        ERROR,
    )[0]
    items = next(f for f in silent.signs if f.sign == "items")
    assert items.where[0] == top


def test_a_quieter_night_is_no_loss_and_hides_none() -> None:
    """Where every event falls alike, only the other events tell that one has lost more."""
    g = np.random.default_rng(4)
    world = World(g, 50_000, (0.2, 0.1, 0.3))
    trailing = [events(world.night()) for _ in range(7)]
    quiet = [(shows, g.binomial(hits, 0.85)) for shows, hits in world.night()]
    assert not any(loss.signs for loss in losses(events(quiet), trailing, ERROR))
    lost = losses(events(quiet, at_random(0.3)(g)), trailing, ERROR)
    assert lost[0].signs
    assert not lost[1].signs


def test_without_trailing_nights_nothing_is_said() -> None:
    world = World(np.random.default_rng(5), 1000, (0.2,))
    (loss,) = losses(events(world.night()), [], ERROR)
    assert loss.signs == ()
    assert np.isnan(loss.smallest_loss)
    assert losses([], [[]], ERROR) == ()
