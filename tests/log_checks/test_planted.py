"""Planted faults are named in the first line of the summary, and clean nights are left alone."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.log_checks.planted import (
    LARGE,
    SMALL,
    History,
    Planted,
    ShowWorld,
    all_planted,
    delivered,
    named,
    summary_of,
    trailing_of,
)

SEED = 1
FAULTS = all_planted(SEED)


@pytest.fixture(scope="module")
def trailing() -> dict[int, list[dict]]:
    return {world.slots: trailing_of(world) for world in (SMALL, LARGE)}


def test_there_are_faults_of_both_families_in_both_worlds() -> None:
    count = Counter((f.name.partition(":")[0], f.world.slots) for f in FAULTS)
    assert len(count) == 4
    assert sum(count.values()) >= 30


@pytest.mark.parametrize("planted", FAULTS, ids=lambda f: f"{f.world.slots}-{f.name}")
def test_a_planted_fault_is_named_first(planted: Planted, trailing: dict[int, list[dict]]) -> None:
    """Its size is at least twice what the check says that it finds."""
    clean, night = delivered(planted.world, SEED), delivered(planted.world, SEED)
    planted.plant(night)
    assert planted.size(clean, night) >= 2 * planted.limit(clean, night)
    line = summary_of(planted, trailing[planted.world.slots], SEED)
    assert named(planted, line), line


def clean_nights(world: ShowWorld, many: int) -> tuple[int, int]:
    """Nights that were stopped, and nights with a warning, of consecutive clean ones."""
    history, stopped, warned = History(world), 0, 0
    for seed in range(5_000, 5_000 + many):
        failures = history.next(delivered(world, seed))
        stopped += any(f["severity"] == "critical" for f in failures)
        warned += any(f["severity"] == "warning" for f in failures)
    return stopped, warned


@pytest.mark.statistics
def test_a_month_of_clean_nights_is_left_alone() -> None:
    """None of 30 is stopped and at most 2 are warned of.

    At 1e-4 of a stop and 1 % of a warning a night, right code fails 1 in 250 times.
    """
    stopped, warned = clean_nights(SMALL, 30)
    assert stopped == 0
    assert warned <= 2


@pytest.mark.long
@pytest.mark.statistics
def test_two_hundred_clean_nights() -> None:
    """At most one is stopped, and 5 % are warned of; see above for the rates of right code."""
    counts = [clean_nights(world, 100) for world in (SMALL, LARGE)]
    assert sum(stopped for stopped, _ in counts) <= 1
    assert sum(warned for _, warned in counts) <= 10
