"""The smallest form of what the benchmark of the gate over many nights measures."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from benchmarks import promotion
from benchmarks._peer_environment import PeerEnvironment
from benchmarks.promotion import evaluated, narrow, peers, power, ratchet, schedule, watch, year
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


@pytest.mark.statistics
def test_a_trial_is_worth_more_where_no_coin_ends_it() -> None:
    """400 years each. Where 5 % have a wrong promotion, 36 or more of 400 do in .05 % of seeds.

    The gain is a seventh more, ten standard errors.
    """
    gate, sign = (narrow.year_of(rule, 0.02, 0.5, 0.5, 400) for rule in (narrow.GATE, narrow.SIGN))
    assert gate.gain.mean() > 1.05 * sign.gain.mean()
    wrong = narrow.year_of(narrow.GATE, 0.02, 0.0, 0.0, 400).promotions > 0
    assert wrong.sum() < 36


def test_the_oracle_has_its_power() -> None:
    """60 runs: a share within 4 standard errors of 80 %."""
    waited = np.array(power.nights_of(0, 60)["oracle"])
    assert abs((waited <= power.TEST_NIGHTS).mean() - power.POWER) < 4 * np.sqrt(0.16 / 60)


def test_a_test_that_the_gate_ends_is_followed_by_another() -> None:
    """Worse on its first night, it makes room; the next is better beyond doubt on that night."""
    night = np.linspace(-1.0, 1.0, 40)
    assert power.promoted_by_the_gate(np.stack([night - 5.0, night + 5.0]), earned=True) == 2
    assert power.promoted_by_the_gate(np.stack([night - 5.0] * 2), earned=True) == np.inf


def test_the_watch_sees_a_shortfall_and_no_other() -> None:
    """Eight promises, each missed by five standard errors: 5 or fewer in .02 of right code."""
    seen = [night for night, _ in watch._shortfalls(7, 0, 8)]
    assert sum(night > 0 for night in seen) >= 6
    assert max(seen) <= 5
    promoted = watch.watched_year("Bernoulli", 0, 90)
    assert promoted
    assert not any(alarm for _, alarm in promoted)


def test_a_better_challenger_passes_through_the_library_call() -> None:
    """In 12 nights it is 5 standard errors better; one as good passes in .0001 of them."""
    assert evaluated.promotions(0, 12, gain=0.6)
    assert not evaluated.promotions(0, 6)


def test_without_the_peers_a_row_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", PeerEnvironment("nowhere", "bench-sequential"))
    (row,) = peers.run(quick=True)
    assert row.holds is None
    assert "make bench-sequential" in row.note


def test_a_decision_is_the_first_look_beyond_its_bound() -> None:
    statistic = np.array([[0.0, 3.0, 1.0], [0.0, 1.0, 1.0], [5.0, 5.0, 5.0]])
    assert peers._decided(statistic, np.array([4.0, 2.0, 2.0])).tolist() == [2, 0, 1]
