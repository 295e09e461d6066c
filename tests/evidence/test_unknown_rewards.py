"""Rewards that were not delivered widen the evidence by the worst that they could be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.sessions.returns import with_returns
from mrlm.evidence.policies import policy_estimates
from mrlm.evidence.policy_estimate import PolicyEstimate
from mrlm.evidence.scored_log import scored_log
from mrlm.evidence.unknown_rewards import UnknownRewards
from tests.evidence.arrays import OBJECTIVES, Prefers, criteria, make_log

CLICK = replace(OBJECTIVES[1], name="like", transform="any", missing=0.0)
NIGHTS = ("2026-11-20", "2026-11-21")


def test_a_lost_event_of_what_should_be_rare_can_make_its_reward_a_zero() -> None:
    log = replace(clicks(1), rewards=np.ones((400, 1)))
    fewer = replace(CLICK, transform="none", missing=1.0)
    found = UnknownRewards.of(unread(replace(log, objectives=(fewer,)), np.arange(3)))
    assert found is not None
    assert (found.low[0], found.high[0]) == (0.0, 1.0)


def clicks(seed: int, n: int = 400) -> BanditLog:
    """The log with the like alone, which is 0 where no event came."""
    log = make_log(seed, n=n, nights=NIGHTS)
    return replace(
        log,
        objectives=(CLICK,),
        rewards=log.rewards[:, 1:2],
        final=log.final[:, 1:2],
        unknown=log.unknown[:, 1:2],
        lost=log.lost[:, 1:2],
    )


def unread(log: BanditLog, rows: np.ndarray) -> BanditLog:
    """The log in which the events of these rows could not be read."""
    unknown, final, rewards = log.unknown.copy(), log.final.copy(), log.rewards.copy()
    unknown[rows], final[rows], rewards[rows] = True, False, np.nan
    return replace(log, unknown=unknown, final=final, rewards=rewards)


def lose(log: BanditLog, share: float, g: np.random.Generator) -> BanditLog:
    """The log without a share of its events; their number is known by night."""
    hit = log.rewards[:, 0] == 1
    gone = hit & (g.random(len(log)) < share)
    lost = np.zeros_like(log.lost)
    for night in np.unique(log.night):
        lost[log.night == night] = gone[log.night == night].sum()
    return replace(log, rewards=np.where(gone[:, None], 0.0, log.rewards), lost=lost)


def estimates(log: BanditLog) -> dict:
    compared = {"challenger": Prefers(0.4), "champion": Prefers(-0.2)}
    simple = {"item_mean": Prefers(0.1)}
    p = scored_log(log, {**compared, **simple}, None).probabilities
    q = np.full((len(log.decisions.candidates.values), len(log.objectives)), 0.5)
    policies, baselines = {n: p[n] for n in compared}, {n: p[n] for n in simple}
    by = criteria(north_star="like")
    return policy_estimates(log, policies, q, None, by, baselines=baselines)


def test_a_log_whose_rewards_are_known_has_none() -> None:
    assert UnknownRewards.of(clicks(0)) is None
    assert "reward_states" not in estimates(clicks(0))


def test_every_value_that_an_unread_reward_can_have_lies_inside() -> None:
    """The bounds are met exactly by the worst values, and by nothing beyond them."""
    whole = clicks(1)
    g = np.random.default_rng(2)
    rows = g.choice(len(whole), 40, replace=False)
    found = estimates(unread(whole, rows))
    assert found["reward_states"] == {"like": {"known": 360, "unknown": 40, "lost": 0}}
    for estimator in ("ips", "dr", "snips"):
        bounded = found["differences"][estimator]["like"]
        assert bounded.unknown_low < 0 < bounded.unknown_high
        for _ in range(20):
            values = whole.rewards.copy()
            values[rows, 0] = g.integers(0, 2, len(rows))
            known = estimates(replace(whole, rewards=values))["differences"][estimator]["like"]
            assert bounded.lower <= known.lower + 1e-12
            assert bounded.upper >= known.upper - 1e-12


def test_a_difference_to_a_baseline_is_widened_too() -> None:
    whole = clicks(1)
    g = np.random.default_rng(2)
    rows = g.choice(len(whole), 40, replace=False)
    bounded = estimates(unread(whole, rows))["baseline_differences"]["item_mean"]["like"]
    assert bounded.unknown_low < 0 < bounded.unknown_high
    for _ in range(20):
        values = whole.rewards.copy()
        values[rows, 0] = g.integers(0, 2, len(rows))
        known = estimates(replace(whole, rewards=values))["baseline_differences"]
        assert bounded.lower <= known["item_mean"]["like"].lower + 1e-12
        assert bounded.upper >= known["item_mean"]["like"].upper - 1e-12


def test_lost_events_go_where_they_move_most_and_no_further_than_their_number() -> None:
    log = clicks(3, n=60)
    lost = log.lost.copy()
    lost[log.night == np.datetime64(NIGHTS[1])] = 3
    log = replace(log, lost=lost)
    unknown = UnknownRewards.of(log)
    assert unknown is not None
    coefficient = np.random.default_rng(4).normal(size=len(log))
    silent = (log.rewards[:, 0] == 0) & (lost[:, 0] > 0)
    for side in (-1, 1):
        changed = np.flatnonzero(unknown.at_worst(coefficient, side)[:, 0] != log.rewards[:, 0])
        best = np.flatnonzero(silent)[np.argsort(-side * coefficient[silent])][:3]
        assert set(changed) == set(best)
    assert unknown.counts(log.objectives) == {"like": {"known": 60, "unknown": 0, "lost": 3}}


def test_a_reward_whose_silence_means_nothing_can_still_have_been_lost() -> None:
    """An objective with missing = None leaves out rows without an event: one may belong there."""
    log = make_log(5, n=60)
    rewards, lost = log.rewards.copy(), log.lost.copy()
    rewards[::3, 0], lost[:, 0] = np.nan, 2
    unknown = UnknownRewards.of(replace(log, rewards=rewards, lost=lost))
    assert unknown is not None
    filled = unknown.at_worst(np.ones(60), 1)[:, 0]
    assert np.isfinite(filled).sum() == 40 + 2
    assert filled[::3][np.isfinite(filled[::3])].tolist() == [np.nanmax(rewards[:, 0])] * 2


def test_an_open_reward_is_not_an_unknown_one() -> None:
    log = clicks(6)
    final = log.final.copy()
    final[:100] = False
    assert UnknownRewards.of(replace(log, final=final)) is None


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_a_counted_loss_is_covered(share: float) -> None:
    """Of 100 logs that lost events, the interval of the whole log's value is missed in at most 8.

    At coverage 95 % a correct interval misses more than 8 of 100 with probability .06; what the
    unknown adds makes the interval wider, so the chance of a false alarm is far below that.
    """
    g = np.random.default_rng(7)
    truth = estimates(clicks(999, n=100_000))["differences"]["ips"]["like"].value
    missed, plain = 0, 0
    for seed in range(100):
        log = lose(clicks(seed), share, g)
        found = estimates(log)["differences"]["ips"]["like"]
        missed += not found.lower <= truth <= found.upper
        plain += not (found.lower - found.unknown_low <= truth <= found.upper - found.unknown_high)
    assert missed <= 8
    # Without the bound a loss of two fifths shows: the events would have been counted as 0.
    if share == 0.4:
        assert plain > 8


def test_estimates_that_nothing_widens_keep_their_json() -> None:
    known = PolicyEstimate(0.5, 0.1, 30.0, 0.3, 0.7)
    assert known.widened(known, known) == known
    moved = known.widened(replace(known, value=0.4, lower=0.15), known)
    assert (moved.lower, moved.upper) == (pytest.approx(0.15), 0.7)
    assert moved.unknown_low == pytest.approx(-0.15)
    assert moved.unknown_high == 0.0


def returns(seed: int, unread_rows: int = 0, lost: int = 0) -> BanditLog:
    """Clicks with what follows in sessions of five decisions, some of them unread or lost."""
    log, g = clicks(seed, n=200), np.random.default_rng(seed)
    step = np.arange(len(log))
    log = replace(
        log,
        objectives=(replace(CLICK, discount=0.8),),
        session=np.array([f"s{i // 5}" for i in step], object),
        session_step=(step % 5).astype(np.int32),
        decisions=replace(log.decisions, user=np.array([f"u{i // 10}" for i in step], object)),
        lost=np.full_like(log.lost, lost),
    )
    return unread(log, g.choice(len(log), unread_rows, replace=False))


def test_an_unread_reward_may_be_anything_in_every_return_that_it_is_part_of() -> None:
    whole, log = returns(6), returns(6, unread_rows=15)
    rows = np.flatnonzero(log.unknown[:, 0])
    read = with_returns(log)
    assert np.isnan(read.rewards).sum() > len(rows)
    unknown, g = UnknownRewards.of(read), np.random.default_rng(7)
    assert unknown is not None
    coefficient = g.normal(size=len(log))
    low, high = (coefficient @ unknown.at_worst(coefficient, side)[:, 0] for side in (-1, 1))
    met = [np.inf, -np.inf]
    for _ in range(200):
        values = whole.rewards.copy()
        values[rows, 0] = g.integers(0, 2, len(rows))
        total = coefficient @ with_returns(replace(whole, rewards=values)).rewards[:, 0]
        assert low - 1e-9 <= total <= high + 1e-9
        met = [min(met[0], total), max(met[1], total)]
    # The ends are reached by values that are possible, so they are no wider than they have to be.
    assert met[1] - met[0] > 0.5 * (high - low)
    assert unknown.counts(read.objectives)[CLICK.name]["unknown"] == read.unknown.sum()


def test_lost_events_move_the_returns_before_them() -> None:
    """Every way of losing two clicks stays within the ends, and the worst way reaches one."""
    log = returns(8, lost=2)
    unknown = UnknownRewards.of(with_returns(log))
    assert unknown is not None
    coefficient = np.random.default_rng(9).normal(size=len(log))
    high = coefficient @ unknown.at_worst(coefficient, 1)[:, 0]
    totals = []
    for night in np.unique(log.night):
        silent = np.flatnonzero((log.rewards[:, 0] == 0) & (log.night == night))
        gains = []
        for i in silent:
            values = log.rewards.copy()
            values[i] = 1.0
            gains.append(coefficient @ with_returns(replace(log, rewards=values)).rewards[:, 0])
        base = coefficient @ with_returns(log).rewards[:, 0]
        totals.append(sum(sorted(np.array(gains) - base)[-2:]))
    assert high == pytest.approx(base + sum(totals), abs=1e-9)
