"""Lost events are found by their rates, hours and items, and whole nights are left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mrlm.log_checks.losses import losses
from tests.log_checks.event_nights import (
    ERROR,
    Lose,
    World,
    at_random,
    events,
    share_found,
    whole_hours,
    whole_items,
)


def test_whole_nights_are_left_alone() -> None:
    """Each is called incomplete with probability at most .03: more than 9 of 100 with p < .001."""
    assert share_found(0, None, 100) <= 0.09


@pytest.mark.parametrize(
    "lose",
    [at_random(0.4), whole_hours(2), whole_items(0.25)],
    ids=["two fifths", "two hours", "items"],
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


@pytest.mark.long
@pytest.mark.parametrize(
    "lose",
    [at_random(0.25), at_random(0.4), whole_hours(1), whole_hours(6), whole_items(0.25)],
    ids=["a quarter", "two fifths", "an hour", "six hours", "a quarter of the items"],
)
def test_large_losses_are_found_nearly_always(
    lose: Callable[[np.random.Generator], Lose],
) -> None:
    """At least 95 % of 200 nights."""
    assert share_found(11, lose, 200) >= 0.95


@pytest.mark.long
def test_two_hundred_whole_nights() -> None:
    """At most 5 % are called incomplete."""
    assert share_found(12, None, 200) <= 0.05
