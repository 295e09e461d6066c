from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import (
    ESTIMATORS,
    EvaluationBatch,
    EvaluationState,
    Thresholds,
    diagnostics,
    difference,
    estimates,
)
from mrlm.ope.estimand import ratio_of_sums
from mrlm.ope.intervals.folded_estimates import folded_estimates
from mrlm.ope.registry import FAMILY
from mrlm.ope.state.folded import FoldedState
from mrlm.ope.table.rounds.logged import LoggedTable
from mrlm.ope.verdict.certify import overlaps
from mrlm.ope.verdict.diagnostics import Diagnostics
from mrlm.ope.verdict.overlap import group_overlap


def log(n=4000, users=400, seed=0, target=(0.2, 0.3, 0.5), logger=(0.5, 0.3, 0.2), rate=0.3):
    g = np.random.default_rng(seed)
    k = len(target)
    logger = np.array(logger)
    action = g.choice(k, n, p=logger)
    return EvaluationBatch(
        cluster=g.integers(0, users, n),
        offsets=np.arange(n + 1) * k,
        target=np.tile(target, n),
        shown=np.arange(n) * k + action,
        propensity=logger[action],
        rewards=(g.random((n, 1)) < rate).astype(float),
        objectives=("click",),
        q=np.full((n * k, 1), rate),
        candidate_propensity=np.tile(logger, n),
        policy="challenger",
    )


def judged(batch, name="ips", **thresholds):
    state = EvaluationState.of(ESTIMATORS[name](batch))
    return estimates(state, thresholds=Thresholds(**thresholds))["click"]


def test_a_good_log_is_certified():
    e = judged(log())
    assert e.certified
    assert e.to_json()["reason"] is None
    assert e.to_json()["rows_needed"] is None


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"min_effective_sample_size": 1e5},
        {"max_weight_share": 1e-9},
        {"min_users": 1000.0},
        {"min_nonzero": 4000.0},
        {"max_unsupported_mass": -1.0},
    ],
)
def test_overlap_alone_is_what_the_certificate_asks_of_it(changed):
    batch, thresholds = log(), Thresholds(**changed)
    (d,) = diagnostics(EvaluationState.of(ESTIMATORS["ips"](batch)))["click"]
    kept = Diagnostics.from_json(json.loads(json.dumps(d.to_json())))
    assert kept == d
    assert overlaps(kept, thresholds) == judged(batch, **changed).certified == (not changed)
    # A wrong propensity is not told by overlap; and where no weight is left there is none.
    assert overlaps(replace(d, mean_weight=3.0, effective_sample_size=1e5), Thresholds())
    assert not overlaps(replace(d, matched=0), Thresholds())


def test_diagnostics_of_before_a_figure_was_kept_are_not_read():
    (d,) = diagnostics(EvaluationState.of(ESTIMATORS["ips"](log(n=500))))["click"]
    told = replace(d, mean_weight_standard_error=math.nan).to_json()
    assert math.isnan(Diagnostics.from_json(told).mean_weight_standard_error)
    del told["tail_users"]
    assert Diagnostics.from_json(told) is None


def test_diagnostics_are_what_they_say():
    batch = log(n=500)
    (d,) = diagnostics(EvaluationState.of(ESTIMATORS["ips"](batch)))["click"]
    w = batch.weight
    assert d.effective_sample_size == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert d.largest_weight == w.max()
    assert d.largest_weight_share == pytest.approx(w.max() / w.sum())
    assert d.mean_weight == pytest.approx(w.mean())
    by_user = np.bincount(batch.cluster, w)
    assert d.effective_users == pytest.approx(by_user.sum() ** 2 / (by_user**2).sum())
    assert d.nonzero == (batch.rewards > 0).sum()
    assert d.matched == (w > 0).sum()
    assert d.effective_nonzero == pytest.approx(d.nonzero / d.matched * d.effective_sample_size)
    assert d.tail_users == pytest.approx((by_user**2).sum() ** 2 / (by_user**4).sum())
    assert d.unsupported_mass == 0.0


def test_small_log_says_how_many_rows_it_needs():
    e = judged(log(n=120, users=60))
    assert not e.certified
    assert "effective sample size" in e.certificate.reason
    assert 200 < e.certificate.rows_needed < 5000
    # The promise is kept: that many rows are certified.
    assert judged(log(n=int(1.3 * e.certificate.rows_needed), users=400)).certified


def test_one_weight_that_dominates():
    batch = log(n=300, users=300)
    propensity = batch.propensity.copy()
    propensity[0] = 1e-4
    e = judged(replace(batch, propensity=propensity))
    assert "of all weight" in e.certificate.reason


def test_few_users():
    e = judged(log(users=8))
    assert "effective number of users" in e.certificate.reason
    assert e.certificate.rows_needed > 4000


def test_few_clicks():
    e = judged(log(rate=0.004))
    assert "click other than 0" in e.certificate.reason
    assert e.certificate.rows_needed > 4000


def test_missing_support_cannot_be_cured_by_rows():
    logger = np.array([0.6, 0.4, 0.0])
    e = judged(log(logger=logger))
    assert "never shows" in e.certificate.reason
    assert e.certificate.rows_needed is None


def test_missing_support_shows_in_the_mean_weight_without_logged_candidates():
    batch = replace(log(logger=(0.6, 0.4, 0.0)), candidate_propensity=None)
    e = judged(batch)
    assert "mean importance weight" in e.certificate.reason
    assert e.certificate.rows_needed is None
    (d,) = e.diagnostics
    assert d.unsupported_mass is None


def test_wrong_propensities_show_in_the_mean_weight():
    batch = log()
    e = judged(replace(batch, propensity=np.minimum(batch.propensity * 1.5, 1.0)))
    assert "mean importance weight" in e.certificate.reason


def test_mean_weight_test_rarely_refuses_a_good_log():
    refused = sum(not judged(log(seed=s, n=1000)).certified for s in range(200))
    assert refused == 0


def test_the_direct_method_never_certifies_the_policy():
    e = judged(log(), "dm")
    assert not e.certified
    assert "its own target" in e.certificate.reason
    assert e.certificate.rows_needed is None


def test_a_difference_needs_both_policies():
    batch = log(n=150, users=100)
    sharp = batch.with_target(np.tile([0.0, 0.0, 1.0], 150), "sharp")
    ips = ESTIMATORS["ips"]
    paired = EvaluationState.of(difference(ips(batch), ips(sharp)))
    reason = estimates(paired)["click"].certificate.reason
    assert "sharp: effective sample size" in reason


def test_clicks_on_items_of_little_weight_do_not_count():
    """Nine tenths of the target on a rare item without a click: 300 other clicks say nothing."""
    n = 40_000
    g = np.random.default_rng(0)
    logger, target = np.array([0.005, 0.4975, 0.4975]), np.array([0.9, 0.05, 0.05])
    action = g.choice(3, n, p=logger)
    rewards = np.zeros((n, 1))
    rewards[np.flatnonzero(action > 0)[:300]] = 1.0
    batch = EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * 3,
        target=np.tile(target, n),
        shown=np.arange(n) * 3 + action,
        propensity=logger[action],
        rewards=rewards,
        objectives=("click",),
    )
    e = judged(batch)
    (d,) = e.diagnostics
    assert d.nonzero == 300
    assert d.effective_nonzero < 3
    assert "effective rows with weight and a click" in e.certificate.reason
    assert e.certificate.rows_needed > n


def drawn(weights, counts):
    """A log of one row a user whose weights have these counts; half of the rewards are 1."""
    w = np.repeat(np.array(weights, float), counts)
    n = len(w)
    return EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * 2,
        target=np.tile([0.01, 0.99], n),
        shown=np.arange(n) * 2,
        propensity=0.01 / w,
        rewards=(np.arange(n) % 2).astype(float)[:, None],
        objectives=("click",),
    )


def test_a_log_without_its_heavy_weights_is_refused():
    """The mean weight is .9, 3.7 of its own standard errors below 1, and none is heavy."""
    e = judged(drawn([0.3, 1.5], [250, 250]))
    assert "heavy weights may be missing" in e.certificate.reason
    assert e.certificate.rows_needed > 500
    assert judged(drawn([0.4, 1.6], [250, 250])).certified


def test_a_log_that_matched_by_luck_is_refused():
    """Kish's formula alone says 162; with the mean weight known to be 1 it is 111."""
    few = drawn([0.01, 12.0], [1440, 160])
    e = judged(few, mean_weight_z=9.0)
    assert "effective sample size 111" in e.certificate.reason


def test_a_log_without_its_heavy_weights_is_refused_where_the_propensities_show_them():
    """A weight of 50 is due in 1 round of 100 and came in none of 300; E[w^2] is known to be 25."""
    logger, target = np.array([0.01, 0.99]), np.array([0.5, 0.5])
    n = 300
    lucky = EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * 2,
        target=np.tile(target, n),
        shown=np.arange(n) * 2 + 1,
        propensity=np.full(n, 0.99),
        rewards=(np.arange(n) % 2).astype(float)[:, None],
        objectives=("click",),
        candidate_propensity=np.tile(logger, n),
    )
    e = judged(lucky, mean_weight_low_z=np.inf, mean_weight_z=np.inf)
    (d,) = e.diagnostics
    expected = n / (target**2 / logger).sum()
    assert d.effective_sample_size == pytest.approx(n)
    assert d.expected_sample_size == pytest.approx(expected)
    assert f"expected of the propensities {expected:.0f} of 300 rows" in e.certificate.reason
    assert e.certificate.rows_needed == math.ceil(n * 150 / expected)
    unknown = replace(lucky, candidate_propensity=None)
    (d,) = judged(unknown).diagnostics
    assert d.expected_sample_size is None


def test_an_interval_for_every_sample_size_needs_support_only():
    from mrlm.ope import INTERVALS, ScoreRange

    betting = INTERVALS["betting"](ScoreRange(0.0, 2.5))
    short = EvaluationState.of(ESTIMATORS["ips"](replace(log(n=60), cluster=np.arange(60))))
    assert not estimates(short)["click"].certified
    assert estimates(short, interval=betting)["click"].certified
    alone = replace(log(n=60, logger=(0.6, 0.4, 0.0)), cluster=np.arange(60))
    unsupported = EvaluationState.of(ESTIMATORS["ips"](alone))
    assert not estimates(unsupported, interval=betting)["click"].certified


def both_ways(scores):
    """The estimates from all users' sums and from folded users."""
    state = EvaluationState.of(scores)
    return [
        next(iter(e.values())) for e in (estimates(state), folded_estimates(FoldedState.of(state)))
    ]


def test_an_infinite_weight_is_refused_where_it_enters():
    batch = log()
    propensity = batch.propensity.copy()
    propensity[7] = 5e-324
    with pytest.raises(ValueError, match="row 7: the propensity is so small"):
        replace(batch, propensity=propensity)
    n = len(batch)
    table = LoggedTable(
        batch.cluster, np.full(n, 0.5), batch.propensity, batch.rewards, batch.objectives
    )
    with pytest.raises(ValueError, match="row 7: the propensity is so small"):
        replace(table, propensity=propensity)


def test_numbers_that_are_not_finite_are_never_certified():
    """A denominator of 0, a NaN score and an infinite weight: no comparison refuses NaN."""
    batch = log()
    scores = ESTIMATORS["ips"](batch)
    assert all(e.certified for e in both_ways(scores))
    broken = {
        "no denominator": replace(scores, denominator=np.zeros_like(scores.denominator)),
        "nan score": replace(scores, numerator=np.full_like(scores.numerator, np.nan)),
        "infinite weight": replace(scores, weight=np.full_like(scores.weight, np.inf)),
        "nan weight": replace(scores, weight=np.full_like(scores.weight, np.nan)),
    }
    for what, bad in broken.items():
        with np.errstate(all="ignore"):
            found = both_ways(bad)
        for e in found:
            assert not e.certified, what
            assert "not finite" in e.certificate.reason, what
            assert e.certificate.rows_needed is None, what


def test_a_ratio_over_an_objective_that_is_always_0_is_refused():
    batch = log()
    two = replace(
        batch,
        objectives=("click", "view"),
        rewards=np.c_[batch.rewards, np.zeros(len(batch))],
        q=None,
    )
    for e in both_ways(ratio_of_sums(ESTIMATORS["ips"](two), "click", "view")):
        assert math.isnan(e.value)
        assert not e.certified


@pytest.mark.parametrize("propensity", [1e-70, 1e-100, 1e-200, 1e-300])
def test_weights_whose_squares_overflow_are_refused(propensity):
    """One weight so large that its square, or a power of it, is no float; no error, no verdict."""
    batch = log()
    tiny = batch.propensity.copy()
    tiny[3] = propensity
    logged = batch.candidate_propensity.copy()
    logged[batch.shown[3]] = propensity
    for candidates in (logged, None):
        one = replace(batch, propensity=tiny, candidate_propensity=candidates)
        for name in ("ips", "snips", "dr"):
            for e in both_ways(ESTIMATORS[name](one)):
                assert not e.certified
                assert "effective sample size" in e.certificate.reason
                assert e.certificate.rows_needed is None
    assert group_overlap(one.weight, one.cluster)[0].effective_sample_size == pytest.approx(1)


def test_no_plan_is_made_of_too_many_rows():
    few = judged(log(n=120, users=60), min_effective_sample_size=1e16)
    assert few.certificate.rows_needed is None


@pytest.mark.parametrize("name", ["cressie_read", "selected"])
def test_fitted_or_selected_scores_have_no_level_at_every_sample_size(name):
    """Their rounds depend on one another's rewards, so the thresholds hold for every interval."""
    from mrlm.ope import INTERVALS, ScoreRange
    from mrlm.ope.choice.selected import select

    betting = INTERVALS["betting"](ScoreRange(-10.0, 10.0))
    short = replace(log(n=60), cluster=np.arange(60))
    if name == "selected":
        wide = INTERVALS["betting"](ScoreRange(-100.0, 100.0))
        e = select(lambda: [short], [FAMILY["ips"]], interval=wide).estimates["click"]
    else:
        state = EvaluationState.of(FAMILY[name](short))
        paired = difference(ESTIMATORS["ips"](short), FAMILY[name](short))
        assert state.fitted
        assert EvaluationState.of(paired).fitted
        assert FoldedState.of(state).fitted
        e = estimates(state, interval=betting)["click"]
    assert e.interval == "betting"
    assert not e.certified
    assert "effective sample size" in e.certificate.reason
