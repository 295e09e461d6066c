from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mrlm.ope import ESTIMATORS, EvaluationState, bound, covariance, estimates
from mrlm.ope.intervals.student import Moments


def test_one_row_a_user_is_the_t_interval(make_batch):
    batch = make_batch(n=80, m=1, missing=0.0, names=False)
    batch = replace(batch, cluster=np.arange(80))
    e = estimates(EvaluationState.of(ESTIMATORS["ips"](batch)), 0.9)["o0"]
    scores = batch.weight * batch.rewards[:, 0]
    t = stats.t.ppf(0.95, e.degrees_of_freedom)
    assert 1 <= e.degrees_of_freedom <= 79
    assert e.standard_error == pytest.approx(stats.sem(scores), rel=1e-12)
    assert e.skewness == pytest.approx(stats.skew(scores) / np.sqrt(80), rel=1e-9)
    shift = e.skewness * (1 + 2 * t**2) / 6
    below, above = t + max(0, -shift), t + max(0, shift)
    assert e.lower == pytest.approx(e.value - below * e.standard_error, rel=1e-12)
    assert e.upper == pytest.approx(e.value + above * e.standard_error, rel=1e-12)


def test_the_longer_tail_gets_the_longer_side(make_batch):
    batch = make_batch(n=300, m=1, missing=0.0)
    rare = (np.random.default_rng(0).random((300, 1)) < 0.05).astype(float)
    for sign in (1, -1):
        found = EvaluationState.of(ESTIMATORS["ips"](replace(batch, rewards=sign * rare)))
        e = estimates(found)["o0"]
        assert sign * e.skewness > 0
        assert sign * ((e.upper - e.value) - (e.value - e.lower)) > 0


def test_degrees_of_freedom():
    used = np.ones((400, 1), bool)
    normal = np.random.default_rng(0).normal(size=(400, 1))
    assert 250 < Moments.of(normal, used).degrees_of_freedom[0] <= 399
    assert Moments.of(np.sign(normal), used).degrees_of_freedom[0] == 399
    one = np.zeros((400, 1))
    one[0] = 1.0
    assert Moments.of(one, used).degrees_of_freedom[0] == pytest.approx(2, abs=0.01)
    assert Moments.of(np.zeros((400, 1)), used).degrees_of_freedom[0] == 399


def test_degrees_of_freedom_know_of_heavy_weights_without_reward(make_batch):
    """The same rewards, on light rows: heavy rows that brought none still count."""
    batch = make_batch(n=400, m=1, missing=0.0, names=False, on_policy=True)
    propensity = batch.propensity.copy()
    propensity[:4] /= 50
    rewards = np.zeros_like(batch.rewards)
    rewards[4:104] = 1.0
    batch = replace(batch, cluster=np.arange(400), rewards=rewards)
    before = estimates(EvaluationState.of(ESTIMATORS["ips"](batch)))["o0"]
    after = estimates(EvaluationState.of(ESTIMATORS["ips"](replace(batch, propensity=propensity))))
    assert before.value == after["o0"].value
    assert before.degrees_of_freedom > 10
    assert after["o0"].degrees_of_freedom < 2
    assert after["o0"].upper > before.upper


def test_clustered_variance_is_that_of_the_sandwich(make_batch):
    """The cluster-robust variance of a regression on a constant, with G / (G - 1)."""
    batch = make_batch(n=200, m=1, users=15, missing=0.0)
    e = estimates(EvaluationState.of(ESTIMATORS["ips"](batch)))["o0"]
    y = batch.weight * batch.rewards[:, 0]
    users = np.unique(batch.cluster)
    sums = np.array([(y - y.mean())[batch.cluster == u].sum() for u in users])
    g = len(users)
    assert e.standard_error == pytest.approx(np.sqrt(g / (g - 1) * sums @ sums) / 200, rel=1e-12)


def test_repeating_every_row_of_a_user_adds_no_information(make_batch):
    batch = make_batch(n=100, users=20)
    twice = batch.take(np.repeat(np.arange(100), 2))
    for name, estimator in ESTIMATORS.items():
        one = estimates(EvaluationState.of(estimator(batch)))
        two = estimates(EvaluationState.of(estimator(twice)))
        for o in one:
            assert one[o].lower == pytest.approx(two[o].lower, abs=1e-12), name


def test_bounds_at_other_levels(make_batch):
    e = estimates(EvaluationState.of(ESTIMATORS["dr"](make_batch())))["o0"]
    assert bound(e, 0.975) == pytest.approx(e.lower)
    assert bound(e, 0.999) < bound(e, 0.95) < e.value
    wide = e.at(0.99)
    assert wide.level == 0.99
    assert wide.lower < e.lower < e.upper < wide.upper
    with pytest.raises(ValueError, match="between 0 and 1"):
        bound(e, 1.0)


def test_covariance_of_objectives(make_batch):
    batch = make_batch(n=300, m=3, missing=0.0)
    doubled = batch.rewards.copy()
    doubled[:, 1] = 2 * doubled[:, 0]
    state = EvaluationState.of(ESTIMATORS["snips"](replace(batch, rewards=doubled)))
    found = covariance(state)
    e = estimates(state)
    assert np.sqrt(np.diag(found)) == pytest.approx([x.standard_error for x in e.values()])
    assert found[0, 1] == pytest.approx(2 * found[0, 0])


def test_one_user_has_no_interval(make_batch):
    batch = make_batch(users=1, missing=0.0)
    e = estimates(EvaluationState.of(ESTIMATORS["ips"](batch)))["o0"]
    assert np.isfinite(e.value)
    assert np.isnan([e.lower, e.upper]).all()
    assert not e.certified
    found = e.to_json()
    assert found["lower"] is None
    json.dumps(found, allow_nan=False)


def test_no_known_reward_is_a_refusal(make_batch):
    batch = make_batch(m=1)
    batch = replace(batch, rewards=np.full_like(batch.rewards, np.nan))
    e = estimates(EvaluationState.of(ESTIMATORS["dr"](batch)))["o0"]
    assert not e.certified
    assert e.rows == 0
    assert "no row has a known o0" in e.to_json()["reason"]
    assert e.to_json()["value"] is None
    json.dumps(e.to_json(), allow_nan=False)
