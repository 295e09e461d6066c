from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS, EvaluationState, diagnostics
from mrlm.ope.verdict.item_overlap import item_overlap
from mrlm.ope.verdict.overlap import group_overlap, tail_index


def test_all_rounds_agree_with_the_state_s_diagnostics(make_batch):
    batch = make_batch(n=300, m=1, missing=0.0)
    (known,) = diagnostics(EvaluationState.of(ESTIMATORS["ips"](batch)))["o0"]
    (found,) = group_overlap(batch.weight, batch.cluster, None, batch.unsupported)
    assert found.group == "all"
    assert (found.rows, found.users) == (known.rows, known.users)
    assert found.effective_sample_size == pytest.approx(known.effective_sample_size)
    assert found.mean_weight == pytest.approx(known.mean_weight)
    assert found.standard_error == pytest.approx(known.mean_weight_standard_error)
    assert found.largest_weight_share == pytest.approx(known.largest_weight_share)
    assert found.unsupported_mass == pytest.approx(known.unsupported_mass)


def test_groups_are_those_of_the_rounds_alone(make_batch):
    batch = make_batch(n=200)
    scene = np.array(["home", "search"], object)[np.arange(200) % 2]
    found = group_overlap(batch.weight, batch.cluster, scene, batch.unsupported)
    assert [g.group for g in found] == ["all", "home", "search"]
    part = np.flatnonzero(scene == "search")
    (alone,) = group_overlap(batch.weight[part], batch.cluster[part], None, batch.unsupported[part])
    assert replace(alone, group="search") == found[2]
    json.dumps([g.to_json() for g in found])


@pytest.mark.statistics
def test_mean_weight_test_holds_its_level_and_finds_wrong_propensities(make_batch):
    """200 logs: 10 false alarms expected at 5 %; above 30 with probability under 1e-7."""
    alarms, found = 0, 0
    for seed in range(200):
        batch = make_batch(seed, n=400, users=80)
        alarms += group_overlap(batch.weight, batch.cluster)[0].p_value < 0.05
        found += group_overlap(batch.weight * 2, batch.cluster)[0].p_value < 0.05
    assert alarms <= 30
    assert found >= 190


def test_item_overlap_by_hand():
    from mrlm.ope import EvaluationBatch

    batch = EvaluationBatch(
        cluster=np.array([0, 1]),
        offsets=np.array([0, 2, 4]),
        target=np.array([0.25, 0.75, 0.5, 0.5]),
        shown=np.array([0, 3]),
        propensity=np.array([0.5, 1.0]),
        rewards=np.zeros((2, 1)),
        objectives=("x",),
        candidate_propensity=np.array([0.5, 0.5, 0.0, 1.0]),
    )
    a, b, c = item_overlap(batch, np.array([7, 8, 7, 9]))
    assert (a.item, a.offered, a.shown) == (7, 2, 1)
    assert a.target_share == pytest.approx(0.375)
    assert a.weighted_share == pytest.approx(0.25)
    assert a.gap == pytest.approx(0.25)
    # Differences by user: 0.25 and -0.5; their spread about the mean -0.125 is 0.375.
    assert a.standard_error == pytest.approx(np.sqrt(2 * 2 * 0.375**2) / 2)
    assert (b.shown, b.gap) == (0, 0.0)
    assert c.weighted_share == pytest.approx(0.25)
    assert item_overlap(replace(batch, candidate_propensity=None), np.zeros(4, int))[0].gap is None
    json.dumps([x.to_json() for x in (a, b, c)])


@pytest.mark.statistics
def test_item_test_finds_the_item_whose_propensity_is_wrong():
    """One log of 20,000 users; the wrong item is at z near 20, four others at |z| < 4."""
    from mrlm.ope import EvaluationBatch

    g, n, k = np.random.default_rng(0), 20_000, 5
    logger = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    action = g.choice(k, n, p=logger)
    said = logger[action].copy()
    said[action == 2] *= 0.5
    batch = EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * k,
        target=np.full(n * k, 0.2),
        shown=np.arange(n) * k + action,
        propensity=said,
        rewards=np.zeros((n, 1)),
        objectives=("x",),
    )
    found = item_overlap(batch, np.tile(np.arange(k), n))
    assert [o.p_value < 6e-5 for o in found] == [False, False, True, False, False]


@pytest.mark.statistics
def test_tail_index_of_pareto_weights():
    """Hill's standard error is index / sqrt(k), k = 316: 5 % of it; bounds at four of these."""
    g = np.random.default_rng(0)
    for index in (1.5, 3.0):
        weight = g.pareto(index, 100_000) + 1
        assert tail_index(weight) == pytest.approx(index, rel=0.23)
    assert tail_index(np.ones(1000)) is None
    assert tail_index(np.arange(50.0)) is None


def test_wrong_input_is_refused(make_batch):
    batch = make_batch()
    with pytest.raises(ValueError, match="group must have shape"):
        group_overlap(batch.weight, batch.cluster, np.zeros(3))
    with pytest.raises(ValueError, match="empty"):
        group_overlap(np.zeros(0), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="item must have shape"):
        item_overlap(batch, np.zeros(3, np.int64))


def test_an_infinite_weight_is_told_in_plain_json():
    """A propensity near 0: what it leaves undefined is None, not NaN, which JSON has not."""
    n = 300
    weight = np.r_[np.inf, np.ones(n - 1)]
    (found,) = group_overlap(weight, np.arange(n) % 50)
    assert found.to_json()["mean_weight"] is None
    assert found.to_json()["effective_sample_size"] is None
    json.dumps(found.to_json(), allow_nan=False)
