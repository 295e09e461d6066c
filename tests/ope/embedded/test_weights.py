from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import EvaluationBatch
from mrlm.ope.embedded import (
    cluster_items,
    cluster_weight,
    discretise,
    kernel_weight,
    memberships,
    posterior_weight,
)
from mrlm.ope.embedded.posterior import code_shares


def test_cluster_weight_by_hand():
    batch = EvaluationBatch(
        cluster=np.array([0, 1]),
        offsets=np.array([0, 3, 5]),
        target=np.array([0.1, 0.3, 0.6, 0.5, 0.5]),
        shown=np.array([1, 3]),
        propensity=np.array([0.2, 1.0]),
        rewards=np.zeros((2, 1)),
        objectives=("x",),
        candidate_propensity=np.array([0.3, 0.2, 0.5, 1.0, 0.0]),
    )
    found = cluster_weight(batch, np.array([7, 7, 2, 1, 4]))
    assert found.weight.tolist() == pytest.approx([0.4 / 0.5, 0.5])
    assert found.unsupported.tolist() == pytest.approx([0.0, 0.5])
    assert not found.estimated


@pytest.mark.parametrize("seed", range(3))
def test_expected_weight_is_one(seed, make_batch):
    """Exact: each candidate's weight, as if it were shown, averaged under the logger."""
    batch = make_batch(seed, n=1, largest=6, missing=0.0)
    n, k = len(batch.target), np.random.default_rng(seed)
    code, share = k.integers(0, 3, n), k.dirichlet(np.ones(4), n)
    total = np.zeros(2)
    for a in range(n):
        seen = replace(batch, shown=np.array([a]), propensity=batch.candidate_propensity[[a]])
        for j, w in enumerate(
            (cluster_weight(seen, code), kernel_weight(seen, np.arange(n), share))
        ):
            total[j] += batch.candidate_propensity[a] * w.weight[0]
    assert total == pytest.approx([1.0, 1.0], abs=1e-12)


@pytest.mark.parametrize("spread", [1, 1000])
def test_expected_square_is_that_of_the_clusters_weights(spread, make_batch):
    """With few codes by a table, with scattered ones by sorting."""
    batch = make_batch(n=200)
    code = spread * np.random.default_rng(0).integers(0, 3, len(batch.target))
    found = cluster_weight(batch, code).expected_square
    for i in (0, 9, 199):
        own = slice(batch.offsets[i], batch.offsets[i + 1])
        expected = 0.0
        for k in np.unique(code[own]):
            logged = batch.candidate_propensity[own][code[own] == k].sum()
            expected += batch.target[own][code[own] == k].sum() ** 2 / logged
        assert found[i] == pytest.approx(expected)


def test_missing_and_wrong_propensities_are_refused(make_batch):
    batch = make_batch()
    code = np.zeros(len(batch.target), np.int64)
    with pytest.raises(ValueError, match="of every candidate"):
        cluster_weight(replace(batch, candidate_propensity=None), code)
    holes = batch.candidate_propensity.copy()
    holes[3] = np.nan
    with pytest.raises(ValueError, match="of every candidate"):
        cluster_weight(replace(batch, candidate_propensity=holes), code)
    with pytest.raises(ValueError, match="row 0: the shown item's propensity differs"):
        cluster_weight(replace(batch, propensity=batch.propensity * 0.9), code)
    with pytest.raises(ValueError, match="code must have one entry"):
        cluster_weight(batch, code[:-1])
    with pytest.raises(ValueError, match="sums to 1"):
        kernel_weight(batch, code, np.full((1, 2), 0.4))


def codes_world(seed, n=20_000, items=8):
    g = np.random.default_rng(seed)
    logger = 0.5 * g.dirichlet(np.ones(items)) + 0.5 / items
    target = g.dirichlet(np.ones(items))
    shares = [g.dirichlet(np.ones(5), items) for _ in range(2)]
    action = g.choice(items, n, p=logger)
    code = np.column_stack(
        [(np.cumsum(s[action], 1) < g.random((n, 1))).sum(1).clip(0, 4) for s in shares]
    )
    joint = shares[0][:, code[:, 0]] * shares[1][:, code[:, 1]]
    batch = EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * items,
        target=np.tile(target, n),
        shown=np.arange(n) * items + action,
        propensity=logger[action],
        rewards=np.zeros((n, 1)),
        objectives=("x",),
        candidate_propensity=np.tile(logger, n),
    )
    return batch, np.tile(np.arange(items), n), code, target @ joint / (logger @ joint)


@pytest.mark.statistics
def test_posterior_weights_approach_the_true_marginal_ones():
    """Five worlds with at least some 1250 rounds an item: shares within about 0.01, so weights
    within a tenth of their spread; a wrong posterior misses that by an order of magnitude."""
    for seed in range(5):
        batch, item, code, true = codes_world(seed)
        found = posterior_weight(batch, item, code)
        error = np.sqrt(np.mean((found.weight - true) ** 2))
        assert error < 0.1 * np.sqrt(np.mean((true - 1) ** 2)) + 0.02
        assert abs(found.weight.mean() - 1) < 0.02
        assert found.estimated


def test_posterior_weights_use_other_users_only():
    batch, item, code, _ = codes_world(0, n=300)
    before = posterior_weight(batch, item, code, folds=3).weight
    changed = code.copy()
    fold = np.arange(300) % 3
    changed[np.flatnonzero(fold == 0)[:50]] = 0
    after = posterior_weight(batch, item, changed, folds=3).weight
    same = (fold == 0) & (changed == code).all(1)
    assert same.any()
    assert np.array_equal(before[same], after[same])
    assert not np.array_equal(before[fold == 1], after[fold == 1])


def test_posterior_counts_items_without_rounds_as_unsupported():
    batch, item, code, _ = codes_world(0, n=300)
    rare = np.bincount(item[batch.shown], minlength=8) == 0
    assert not rare.any()
    never = np.where(item == 7, 8, item)
    keep = np.flatnonzero(item[batch.shown] != 7)
    part, kept = batch.take(keep), never.reshape(300, 8)[keep].ravel()
    found = posterior_weight(part, kept, code[keep])
    assert found.unsupported == pytest.approx(np.full(len(keep), batch.target[7]))


def test_posterior_refuses_one_user(make_batch):
    batch = replace(make_batch(), cluster=np.zeros(60, np.int64))
    with pytest.raises(ValueError, match="two users"):
        posterior_weight(batch, np.zeros(len(batch.target), int), np.zeros((60, 1), int))


def test_code_shares_by_hand():
    shares = code_shares(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3, 2, strength=1.0)
    assert np.allclose(shares, [[2.5 / 4, 1.5 / 4], [0.25, 0.75], [0.5, 0.5]])
    with pytest.raises(ValueError, match="strength"):
        code_shares(np.zeros(1, int), np.zeros(1, int), 1, 1, strength=0.0)


def test_clusters_find_separate_groups_and_are_the_same_every_time():
    g = np.random.default_rng(0)
    centres = g.normal(size=(5, 8)) * 20
    group = np.arange(100) % 5
    vectors = centres[group] + g.normal(size=(100, 8))
    code = cluster_items(vectors, 5)
    assert all(len(set(code[group == k])) == 1 for k in range(5))
    assert len(set(code)) == 5
    assert np.array_equal(code, cluster_items(vectors.copy(), 5))
    assert len(set(cluster_items(vectors, 100))) == 100
    assert np.array_equal(cluster_items(np.zeros((4, 2)), 2), [0, 0, 0, 0])


def test_discretised_codes_by_hand():
    vectors = np.array([[0.0, 5.0], [0.1, 5.0], [2.0, 5.0], [3.0, 5.0]])
    assert discretise(vectors, 2).tolist() == [0, 0, 1, 1]
    assert discretise(vectors, 4).tolist() == [0, 1, 2, 3]
    assert discretise(vectors, 1).tolist() == [0, 0, 0, 0]
    # Only the first column varies, so one principal component says the same, up to its sign.
    first = discretise(vectors, 2, components=1)
    assert first[0] == first[1] != first[2] == first[3]
    with pytest.raises(ValueError, match="levels"):
        discretise(vectors, 0)


def test_memberships_are_shares_that_sharpen_with_the_bandwidth():
    vectors = np.array([[0.0], [1.0], [3.0]])
    soft = memberships(vectors, vectors[:2], 1.0)
    assert np.allclose(soft.sum(1), 1)
    assert np.allclose(soft[0], np.exp([0, -0.5]) / np.exp([0, -0.5]).sum())
    assert np.allclose(memberships(vectors, vectors[:2], 0.01), [[1, 0], [0, 1], [0, 1]])


def test_bad_vectors_are_refused():
    with pytest.raises(ValueError, match="finite matrix"):
        cluster_items(np.array([[np.nan]]), 1)
    with pytest.raises(ValueError, match="clusters must be from 1"):
        cluster_items(np.ones((3, 2)), 4)
    with pytest.raises(ValueError, match="bandwidth"):
        memberships(np.ones((3, 2)), np.ones((1, 2)), 0.0)
