"""The conformance test of the intervals' family, and what each member adds."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from scipy import stats

from mrlm.bandit_log.user_folds import user_key
from mrlm.ope import (
    ESTIMATORS,
    INTERVALS,
    EvaluationBatch,
    EvaluationState,
    Interval,
    ScoreRange,
    difference,
    estimates,
    simultaneous,
)
from mrlm.ope.intervals.draws import poisson
from mrlm.ope.intervals.poisson_bootstrap import Bootstrap

ACTIONS, RATE = 5, 0.3
KNOWN = ScoreRange(0.0, float(ACTIONS))
ALL = pytest.mark.parametrize("make", INTERVALS.values(), ids=INTERVALS.keys())


def log(n=2000, seed=0, rate=RATE, names=False) -> EvaluationBatch:
    """Uniform logger over 5 items, target always the first, one row a user, clicks."""
    g = np.random.default_rng(seed)
    action = g.integers(0, ACTIONS, n)
    users = g.permutation(n)
    return EvaluationBatch(
        cluster=np.array([f"u{u}" for u in users], object) if names else users,
        offsets=np.arange(n + 1) * ACTIONS,
        target=np.tile([1.0, 0, 0, 0, 0], n),
        shown=np.arange(n) * ACTIONS + action,
        propensity=np.full(n, 1 / ACTIONS),
        rewards=(g.random((n, 1)) < rate).astype(float),
        objectives=("click",),
        policy="first",
    )


def state(batch, name="ips") -> EvaluationState:
    return EvaluationState.of(ESTIMATORS[name](batch))


@ALL
def test_contract(make):
    interval = make(KNOWN)
    assert isinstance(interval, Interval)
    assert INTERVALS[interval.name] is make
    assert isinstance(interval.finite_sample, bool)
    assert isinstance(interval.anytime, bool)


@ALL
def test_holds_the_value_and_grows_with_the_level(make):
    s = state(log())
    value = s.numerator.sum() / s.denominator.sum()
    ends = [make(KNOWN)(s, level) for level in (0.5, 0.9, 0.99)]
    for lower, upper in ends:
        assert lower.shape == upper.shape == (1,)
        assert lower[0] < value < upper[0]
    assert ends[0][0] > ends[1][0] > ends[2][0]
    assert ends[0][1] < ends[1][1] < ends[2][1]


@ALL
@pytest.mark.parametrize("names", [True, False])
def test_shards_and_order_do_not_matter(make, names):
    batch = log(names=names)
    order = np.random.default_rng(1).permutation(len(batch))
    shards = [state(batch.take(part)) for part in np.array_split(order, 5)]
    whole = make(KNOWN)(state(batch), 0.95)
    for merged in (
        reduce(EvaluationState.merge, shards),
        reduce(EvaluationState.merge, shards[::-1]),
    ):
        found = make(KNOWN)(merged, 0.95)
        assert np.concatenate(found) == pytest.approx(np.concatenate(whole), abs=1e-9)


@ALL
def test_narrows_as_the_log_grows(make):
    widths = [np.subtract(*make(KNOWN)(state(log(n)), 0.95)[::-1])[0] for n in (1000, 16_000)]
    assert widths[1] < 0.45 * widths[0]


@ALL
def test_misses_no_more_than_its_level_says(make):
    """Of 400 logs at level .9: at most .14, which is exceeded with probability .005."""
    missed = 0
    for seed in range(400):
        lower, upper = make(KNOWN)(state(log(500, seed)), 0.9)
        missed += not lower[0] <= RATE <= upper[0]
    assert missed / 400 <= 0.14


@ALL
def test_travels_with_its_verdict(make):
    found = estimates(state(log()), interval=make(KNOWN))["click"]
    assert found.interval == make(KNOWN).name
    assert found.certified
    small = estimates(state(log(40)), interval=make(KNOWN))["click"]
    assert small.certified == make(KNOWN).finite_sample
    if found.interval != "t":
        with pytest.raises(ValueError, match="no other level"):
            found.at(0.9)


@pytest.mark.parametrize("name", ["hoeffding", "bernstein", "betting", "clopper_pearson"])
def test_a_self_normalised_estimate_has_a_range_too(name):
    """200 logs at level .9, weights of 0 and 5: missing 30 has probability .01."""
    known = ScoreRange(0.0, 1.0, denominator=float(ACTIONS))
    missed = 0
    for seed in range(200):
        lower, upper = INTERVALS[name](known)(state(log(300, seed), "snips"), 0.9)
        assert lower[0] >= 0
        assert upper[0] <= 1
        missed += not lower[0] <= RATE <= upper[0]
    assert missed < 30


@pytest.mark.parametrize("name", ["hoeffding", "bernstein", "betting", "clopper_pearson"])
def test_the_range_is_never_the_samples(name):
    with pytest.raises(ValueError, match="outside the range"):
        INTERVALS[name](ScoreRange(0.0, 1.0))(state(log()), 0.95)
    twice = log().take(np.repeat(np.arange(2000), 2))
    with pytest.raises(ValueError, match="rounds_per_user"):
        INTERVALS[name](KNOWN)(state(twice), 0.95)
    with pytest.raises(ValueError, match="lower < upper"):
        ScoreRange(1.0, 1.0)


@pytest.mark.parametrize("name", ["hoeffding", "bernstein", "betting"])
def test_a_difference_of_ratios_is_refused(name):
    batch = log()
    other = batch.with_target(np.tile([0.2] * 5, 2000), "uniform")
    snips = ESTIMATORS["snips"]
    paired = EvaluationState.of(difference(snips(batch), snips(other)))
    with pytest.raises(ValueError, match="different denominators"):
        INTERVALS[name](KNOWN)(paired, 0.95)
    for kind in ("t", "bootstrap", "asymptotic"):
        lower, upper = INTERVALS[kind](KNOWN)(paired, 0.95)
        assert lower[0] < upper[0]


def test_hoeffding_by_hand_and_shrinking():
    """The half-width is R sqrt(log(2 / alpha) / (2 n)): it falls with n, whatever the sample."""
    for n in (100, 10_000):
        lower, upper = INTERVALS["hoeffding"](ScoreRange(-50.0, 60.0))(state(log(n)), 0.95)
        half = 110 * np.sqrt(np.log(2 / 0.05) / (2 * n))
        assert (upper - lower)[0] / 2 == pytest.approx(half, rel=1e-9)


def test_bernstein_by_hand():
    s = state(log())
    x = s.numerator[:, 0, 0]
    loose = np.log(4 / 0.05)
    half = np.sqrt(2 * x.var(ddof=1) * loose / 2000) + 7 * 100 * loose / (3 * 1999)
    lower, upper = INTERVALS["bernstein"](ScoreRange(-50.0, 50.0))(s, 0.95)
    assert (lower[0], upper[0]) == pytest.approx((x.mean() - half, x.mean() + half), rel=1e-9)


def test_clopper_pearson_is_that_of_scipy():
    for rate in (0.0, 0.3, 1.0):
        batch = log(200, rate=rate)
        s = state(batch)
        hits = int((s.numerator > 0).sum())
        lower, upper = INTERVALS["clopper_pearson"](KNOWN)(s, 0.95)
        exact = stats.binomtest(hits, 200).proportion_ci(0.95, "exact")
        assert (lower[0] / 5, upper[0] / 5) == pytest.approx((exact.low, exact.high), abs=1e-12)
        matched = int((s.weight_sum > 0).sum())
        snips = ScoreRange(0.0, 1.0, denominator=5.0)
        lower, upper = INTERVALS["clopper_pearson"](snips)(state(batch, "snips"), 0.95)
        exact = stats.binomtest(hits, matched).proportion_ci(0.95, "exact")
        assert (lower[0], upper[0]) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_clopper_pearson_wants_coins():
    batch = log().with_target(np.tile([0.6, 0.4, 0, 0, 0], 2000), "two")
    with pytest.raises(ValueError, match="scores of 0 or 5"):
        INTERVALS["clopper_pearson"](KNOWN)(state(batch), 0.95)


def test_a_sequence_covers_at_every_look():
    """Looks after every 250 of 2000 users, 100 logs, level .9: missing 18 has probability .01.

    The t interval, which is for one look, misses far more often.
    """
    missed = dict.fromkeys(("betting", "asymptotic", "t"), 0)
    for seed in range(100):
        batch = log(2000, seed)
        ever = dict.fromkeys(missed, False)
        for n in range(250, 2001, 250):
            s = state(batch.take(np.arange(n)))
            for name in missed:
                lower, upper = INTERVALS[name](KNOWN)(s, 0.9)
                ever[name] |= not lower[0] <= RATE <= upper[0]
        for name in missed:
            missed[name] += ever[name]
    assert missed["betting"] < 18
    assert missed["asymptotic"] < 18
    assert missed["t"] > 18


def test_bootstrap_of_a_constant_has_no_width():
    batch = log(300)
    ones = EvaluationState.of(ESTIMATORS["snips"](batch))
    constant = log(300, rate=1.0)
    lower, upper = Bootstrap()(state(constant, "snips"), 0.95)
    assert (lower[0], upper[0]) == pytest.approx((1.0, 1.0), abs=1e-12)
    assert Bootstrap()(ones, 0.95)[0] < Bootstrap()(ones, 0.95)[1]


def test_draws_are_poisson_and_belong_to_the_user():
    key = user_key(np.array(["anna", "bob", "a much longer name"], object))
    again = user_key(np.array(["bob", "anna"], object))
    assert key[0] == again[1]
    assert key[1] == again[0]
    many = poisson(user_key(np.arange(200)), np.arange(2000, dtype=np.uint64))
    share = np.bincount(many.astype(int).ravel(), minlength=6)[:6] / many.size
    assert share == pytest.approx(stats.poisson.pmf(np.arange(6), 1), abs=0.003)
    assert abs(np.corrcoef(many[:, 0], many[:, 1])[0, 1]) < 0.08
    assert abs(np.corrcoef(many[0], many[1])[0, 1]) < 0.3


def test_bootstrap_is_near_t_on_a_large_log():
    s = state(log(4000))
    t, b = INTERVALS["t"](KNOWN)(s, 0.95), Bootstrap()(s, 0.95)
    assert np.concatenate(b) == pytest.approx(np.concatenate(t), abs=0.1 * (t[1] - t[0])[0])


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_bootstrap_does_not_see_shards_of_users_with_soft_weights(name, make_batch):
    """Sums of a user that differ in their last digit leave the draws alone."""
    batch = make_batch(n=900, users=60, missing=0.0)
    batch = replace(batch, rewards=(batch.rewards > 1).astype(float))
    order = np.random.default_rng(2).permutation(len(batch))
    shards = [state(batch.take(part), name) for part in np.array_split(order, 7)]
    one = np.concatenate(Bootstrap()(state(batch, name), 0.95))
    other = np.concatenate(Bootstrap()(reduce(EvaluationState.merge, shards), 0.95))
    assert other == pytest.approx(one, abs=1e-9)


def test_sparse_rewards_are_drawn_as_all_users_are():
    """The ends with zeros drawn as a sum are those with zeros drawn one by one, but for luck."""
    s = state(log(3000, rate=0.05))
    fast = np.concatenate(Bootstrap(replicates=8000)(s, 0.9))
    shifted = EvaluationState(**{**s.__dict__, "numerator": s.numerator + s.denominator})
    slow = np.concatenate(Bootstrap(replicates=8000)(shifted, 0.9)) - 1.0
    assert fast == pytest.approx(slow, abs=0.06 * (fast[1] - fast[0]))


def test_simultaneous_lies_between_one_and_bonferroni():
    batch = log()
    policies = [batch.with_target(np.tile(np.eye(5)[k], 2000), f"p{k}") for k in range(5)]
    states = [state(p) for p in policies]
    together = simultaneous(states)
    levels = {e.level for by_name in together for e in by_name.values()}
    assert len(levels) == 1
    (alone,) = levels
    assert 0.95 < alone <= 0.99
    # Estimates that are all the same need no correction.
    same = simultaneous([states[0]] * 5)[0]["click"]
    assert same.level == pytest.approx(0.95, abs=0.005)


def test_simultaneous_covers_all_together():
    """300 logs of 5 policies at level .9: at most 46 misses, more with probability .002.

    Each interval alone at .9 would miss one of the five in about 40 % of the logs.
    """
    missed = 0
    for seed in range(300):
        batch = log(1000, seed)
        states = [state(batch.with_target(np.tile(np.eye(5)[k], 1000), f"p{k}")) for k in range(5)]
        found = simultaneous(states, 0.9, draws=2000)
        missed += not all(f["click"].lower <= RATE <= f["click"].upper for f in found)
    assert missed <= 46


def test_simultaneous_without_variance_is_bonferroni():
    batch = log()
    flat = batch.with_target(np.tile([0.2] * 5, 2000), "uniform")
    ones = replace(flat, rewards=np.ones((2000, 1)))
    found = simultaneous([state(batch), state(ones)], 0.9)
    assert found[0]["click"].level == pytest.approx(0.95)
    with pytest.raises(ValueError, match="at least one"):
        simultaneous([])
