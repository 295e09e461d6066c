"""The smallest form of what the benchmark of the gate over many nights measures."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from benchmarks import promotion
from benchmarks.promotion import power, ratchet, schedule, year
from benchmarks.promotion._worlds import KINDS, RATE, REWARD
from mrlm.ope import estimates


@pytest.mark.parametrize("name", promotion.parts())
def test_a_part_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.promotion.{name}").run)


@pytest.mark.statistics
@pytest.mark.parametrize("kind", KINDS)
def test_a_world_has_the_lift_that_it_states(kind: str) -> None:
    """Mean of 40 nights within 4 standard errors: fails right code in 0.01 % of seeds a kind."""
    drawn = year.year(KINDS[kind], 0.1, np.random.default_rng(3), nights=40)
    found = estimates(drawn.state(0, 40))[REWARD]
    weekly = 0.95 if KINDS[kind].weekly else 1.0
    assert abs(found.value - 0.1 * RATE * weekly) < 4 * found.standard_error + 0.01 * RATE


def test_a_year_promotes_on_nights_of_the_year() -> None:
    found = year.cell("estimated q", 0.1, 0, nights=30)
    assert set(found) == {"gate", "alone"}
    assert found["gate"]
    assert all(1 <= n <= 30 for nights in found.values() for n in nights)


def test_a_chain_of_small_losses_is_followed() -> None:
    kept, lost = (
        ratchet.cell(rule, 0.1, ratchet.LOSS, 0, nights)
        for rule, nights in ((ratchet.ANCHORED, 120), (ratchet.ALONE, 365))
    )
    assert kept.lowest == -ratchet.LOSS * kept.promotions >= -ratchet.MARGIN
    assert lost.lowest < -ratchet.MARGIN
    assert ratchet.cell(ratchet.ANCHORED, 0.1, 0.0, 0, nights=60).promotions > 5


@pytest.mark.statistics
def test_the_gate_gains_more_than_schedules_of_the_same_bound() -> None:
    """200 years; and what counts only the spent error of tests that ended early is no bound."""
    found = schedule.schedules()
    gains = {n: schedule.year_of(s, 0.0, 1.0, 200)[0].mean() for n, s in found.items()}
    assert gains["gate"] > max(gains["full"], gains["alone"])
    wrong = {n: (schedule.year_of(s, 0.0, 0.0, 200)[1] > 0).mean() for n, s in found.items()}
    assert wrong["gate"] <= 0.09 < wrong["forfeited"]


def test_the_oracle_has_its_power() -> None:
    """60 runs: a share within 4 standard errors of 80 %."""
    waited = np.array(power.nights_of(0, 60)["oracle"])
    assert abs((waited <= power.TEST_NIGHTS).mean() - power.POWER) < 4 * np.sqrt(0.16 / 60)
