from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import (
    ESTIMATORS,
    EvaluationBatch,
    EvaluationState,
    diagnostics,
    difference,
    estimates,
)
from mrlm.ope.estimand import PER_DECISION, PER_USER, RATIO_OF_SUMS, per_user, ratio_of_sums
from mrlm.ope.intervals.folded_estimates import folded_diagnostics, folded_estimates
from mrlm.ope.state.folded import FoldedState


def test_the_estimand_travels_with_the_numbers(make_batch):
    scores = ESTIMATORS["ips"](make_batch())
    state = EvaluationState.of(scores)
    assert scores.estimand == state.estimand == PER_DECISION
    e = estimates(state)["o0"]
    assert e.estimand == e.to_json()["estimand"] == PER_DECISION
    user = EvaluationState.of(per_user(scores))
    assert {e.estimand for e in estimates(user).values()} == {PER_USER}
    assert folded_estimates(FoldedState.of(user))["o0"].to_json()["estimand"] == PER_USER
    with pytest.raises(ValueError, match="estimand"):
        state.merge(user)
    with pytest.raises(ValueError, match="one estimand"):
        difference(scores, per_user(scores))


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_per_user_is_the_mean_of_the_users_means(name, make_batch):
    batch = make_batch(n=200, users=12)
    scores = ESTIMATORS[name](batch)
    found = per_user(scores).value
    for j in range(2):
        above, below = [], []
        for user in np.unique(batch.cluster):
            own = (batch.cluster == user) & batch.used[:, j]
            above.append(scores.numerator[own, j, 0].mean())
            below.append(scores.denominator[own, j, 0].mean())
        assert found[j] == pytest.approx(np.mean(above) / np.mean(below))
    with pytest.raises(ValueError, match="no value per user"):
        per_user(per_user(scores))


def test_per_user_is_per_decision_where_all_come_as_often(make_batch):
    batch = make_batch(n=60, missing=0.0)
    batch = replace(batch, cluster=np.arange(60) % 20)
    scores = ESTIMATORS["dr"](batch)
    one, two = (estimates(EvaluationState.of(s)) for s in (scores, per_user(scores)))
    for name, e in one.items():
        for field in ("value", "standard_error", "lower", "upper"):
            assert getattr(two[name], field) == pytest.approx(getattr(e, field), rel=1e-12)


def test_ratio_of_sums_is_the_ratio_of_the_values(make_batch):
    batch = make_batch(n=300, missing=0.0)
    scores = ESTIMATORS["ips"](batch)
    (e,) = estimates(EvaluationState.of(ratio_of_sums(scores, "o0", "o1"))).values()
    value = scores.value
    assert e.objective == "o0 / o1"
    assert e.estimand == RATIO_OF_SUMS
    assert e.value == pytest.approx(value[0] / value[1])
    # The delta method by hand.
    influence = (scores.influence[:, 0] - e.value * scores.influence[:, 1]) / value[1]
    codes = np.unique(batch.cluster, return_inverse=True)[1]
    by_user = np.bincount(codes, influence)
    users = len(by_user)
    error = np.sqrt(users / (users - 1) * (by_user**2).sum())
    assert e.standard_error == pytest.approx(error)


def test_ratio_of_sums_uses_rounds_that_know_both(make_batch):
    batch = make_batch(n=100, missing=0.3)
    scores = ratio_of_sums(ESTIMATORS["snips"](batch), "o1", "o0")
    assert np.array_equal(scores.used[:, 0], batch.used.all(1))
    with pytest.raises(ValueError, match="no objective 'x'"):
        ratio_of_sums(ESTIMATORS["ips"](batch), "x", "o0")
    both = difference(ESTIMATORS["ips"](batch), ESTIMATORS["ips"](batch))
    with pytest.raises(ValueError, match="no single ratio"):
        ratio_of_sums(both, "o0", "o1")


def visits(seed):
    """100 users of 500 on-policy rounds, 3,000 of one whose target item is shown in 1 of 500."""
    g = np.random.default_rng(seed)
    cluster = np.r_[np.repeat(np.arange(100), 500), np.arange(100, 3100)]
    often = cluster < 100
    n = len(cluster)
    first = np.where(often, 0.5, 0.002)
    shown = (g.random(n) > first).astype(int)
    target = np.where(often[:, None], 0.5, np.array([1.0, 0.0]))
    propensity = np.where(shown == 0, first, 1 - first)
    return EvaluationBatch(
        cluster=cluster,
        offsets=np.arange(n + 1) * 2,
        target=target.ravel(),
        shown=np.arange(n) * 2 + shown,
        propensity=propensity,
        rewards=(g.random(n) < 0.3).astype(float)[:, None],
        objectives=("click",),
    )


def test_per_user_is_judged_by_the_weights_of_its_own_estimate():
    batch = visits(0)
    state = EvaluationState.of(per_user(ESTIMATORS["ips"](batch)))
    (d,) = diagnostics(state)["click"]
    share = 1 / np.bincount(batch.cluster)[batch.cluster]
    w = batch.weight * share
    assert d.rows == len(batch)
    assert d.effective_sample_size == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert d.mean_weight == pytest.approx(w.sum() / 3100)
    assert d.largest_weight == pytest.approx(w.max() / share.mean())
    (f,) = folded_diagnostics(FoldedState.of(state))["click"]
    assert [*f.to_json().values()][2:] == pytest.approx([*d.to_json().values()][2:])
    # Batches of whole users add up.
    parts = [batch.take(np.flatnonzero(batch.cluster % 3 == k)) for k in range(3)]
    one, two, three = (EvaluationState.of(per_user(ESTIMATORS["ips"](b))) for b in parts)
    (m,) = diagnostics(one.merge(two).merge(three))["click"]
    assert [*m.to_json().values()][2:] == pytest.approx([*d.to_json().values()][2:])


@pytest.mark.statistics
@pytest.mark.parametrize("name", ["ips", "snips"])
def test_per_user_is_certified_only_where_it_covers(name):
    """100 logs in which the value of most users rests on six rounds: hardly any is certified.

    Rounds that count alike, 50,000 of them with weight 1, certify 97, of which 85 in 100 cover.
    More than 5 of 100 at a true share of .01 has a chance below 1e-3.
    """
    certified, alike = 0, []
    for seed in range(100):
        scores = per_user(ESTIMATORS[name](visits(seed)))
        certified += estimates(EvaluationState.of(scores))["click"].certified
        if seed < 10:
            e = estimates(EvaluationState.of(replace(scores, share=None)))["click"]
            alike.append(e.certified)
    assert certified <= 5
    assert sum(alike) > 5


def test_per_user_of_a_good_log_is_certified(make_batch):
    batch = make_batch(n=4000, users=900, missing=0.0, on_policy=True)
    assert estimates(EvaluationState.of(per_user(ESTIMATORS["ips"](batch))))["o0"].certified
