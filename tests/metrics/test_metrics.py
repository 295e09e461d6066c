from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log import Ragged
from mrlm.metrics import (
    auc,
    auc_within,
    calibration_error,
    category_entropy,
    clustered_auc,
    clustered_mean,
    coverage,
    exposure,
    gini,
    log_loss,
    reliability,
)


def pairs_auc(label, score):
    positive, negative = score[label == 1], score[label == 0]
    above = (positive[:, None] > negative).mean()
    return above + 0.5 * (positive[:, None] == negative).mean()


def clusters(g, users, rows, shared):
    """Labels of users whose rows share ``shared`` of their variance, and two scores of them."""
    user = np.repeat(np.arange(users), rows)
    taste = g.normal(size=users)[user]
    signal = shared**0.5 * taste + (1 - shared) ** 0.5 * g.normal(size=len(user))
    label = (signal + g.normal(size=len(user)) > 0).astype(int)
    scores = [signal + s * g.normal(size=len(user)) + taste for s in (1.0, 1.0)]
    return label, scores, user


def test_an_area_and_its_influence_are_those_of_the_pairs():
    g = np.random.default_rng(3)
    label, (score, other), user = clusters(g, 30, 5, 0.5)
    score = np.round(score)
    found = clustered_auc(label, score, user)
    assert found.value == pytest.approx(pairs_auc(label, score), abs=1e-12)
    assert found.influence.sum() == pytest.approx(0.0, abs=1e-12)
    # To first order the influence is what leaving the user out changes.
    for u in range(3):
        kept = user != u
        change = found.value - pairs_auc(label[kept], score[kept])
        assert change == pytest.approx(found.influence[u], abs=0.15 * abs(change) + 2e-4)
    same = clustered_auc(label, score, user) - found
    assert (same.value, same.standard_error) == (0.0, 0.0)
    difference = found - clustered_auc(label, other, user)
    low, high = difference.interval(0.9)
    assert low < difference.value < high
    with pytest.raises(ValueError, match="both classes"):
        clustered_auc(np.ones(4), np.arange(4.0), np.arange(4))


def test_a_means_error_counts_clusters_and_not_rows():
    values, cluster = np.array([1.0, 1.0, 4.0, 4.0, 4.0, 4.0]), np.array([0, 0, 1, 1, 1, 1])
    found = clustered_mean(values, cluster)
    assert found.value == pytest.approx(3.0)
    assert found.influence == pytest.approx([-4 / 6, 4 / 6])
    assert found.standard_error == pytest.approx(4 / 3)
    less = found - clustered_mean(values + 1.0, cluster)
    assert (less.value, less.standard_error) == (-1.0, pytest.approx(0.0, abs=1e-12))
    with pytest.raises(ValueError, match="at least one row"):
        clustered_mean(values[:0], cluster[:0])


@pytest.mark.statistics
def test_the_clustered_error_covers_where_that_of_rows_does_not():
    """300 logs of 60 users with 10 rows that share: 90 % intervals of area and of a difference.

    The truth is that of one large log. By chance coverage of .9 leaves [.85, .95] once in 250.
    """
    g = np.random.default_rng(11)
    label, scores, _ = clusters(g, 60_000, 10, 0.5)
    truth = [auc(label, s) for s in scores]
    held, alone = np.zeros((300, 3), bool), np.zeros(300, bool)
    for k in range(300):
        label, scores, user = clusters(g, 60, 10, 0.5)
        areas = [clustered_auc(label, s, user) for s in scores]
        wanted = [*truth, truth[0] - truth[1]]
        for j, area in enumerate([*areas, areas[0] - areas[1]]):
            low, high = area.interval(0.9)
            held[k, j] = low <= wanted[j] <= high
        low, high = clustered_auc(label, scores[0], np.arange(len(label))).interval(0.9)
        alone[k] = low <= truth[0] <= high
    assert (held.mean(0) > 0.85).all(), held.mean(0)
    assert (held.mean(0) < 0.95).all(), held.mean(0)
    assert alone.mean() < 0.85


def test_the_area_within_groups_leaves_what_lies_between_them_out():
    group = np.repeat([0, 1, 2], [4, 6, 2])
    label = np.array([1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1])
    score = np.arange(12.0)
    parts = [slice(0, 4), slice(4, 10)]
    areas = [auc(label[p], score[p]) for p in parts]
    wanted = (4 * areas[0] + 6 * areas[1]) / 10
    assert auc_within(label, score, group) == pytest.approx(wanted)
    assert auc_within(label, score + 100.0 * group, group) == pytest.approx(wanted)
    mixed = np.random.default_rng(0).permutation(12)
    assert auc_within(label[mixed], score[mixed], group[mixed]) == pytest.approx(wanted)
    assert np.isnan(auc_within(np.ones(3), score[:3], np.zeros(3, int)))


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_auc_is_the_share_of_ordered_pairs(levels):
    g = np.random.default_rng(levels)
    score = g.integers(0, levels, 300).astype(float)
    label = (g.random(300) < 0.2 + 0.5 * score / levels).astype(int)
    assert auc(label, score) == pytest.approx(pairs_auc(label, score), abs=1e-12)
    assert auc(1 - label, -score) == pytest.approx(auc(label, score), abs=1e-12)


def test_auc_of_one_class_or_one_score():
    assert np.isnan(auc(np.ones(4), np.arange(4.0)))
    assert auc(np.array([0, 1, 1, 0]), np.zeros(4)) == 0.5


def test_auc_refuses_what_it_cannot_rank():
    with pytest.raises(ValueError, match="finite"):
        auc(np.array([0, 1]), np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="0 or 1"):
        auc(np.array([0, 2]), np.array([0.0, 1.0]))


def test_log_loss():
    assert log_loss(np.array([1, 0]), np.array([0.5, 0.5])) == pytest.approx(np.log(2))
    assert np.isfinite(log_loss(np.array([1, 0]), np.array([0.0, 1.0])))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        log_loss(np.array([1]), np.array([1.2]))


def test_calibration_error_of_a_shifted_prediction_is_the_shift():
    g = np.random.default_rng(0)
    p = g.random(1000) * 0.5
    assert calibration_error(p, p) == 0.0
    assert calibration_error(p + 0.1, p) == pytest.approx(0.1)
    found = reliability(p, p, bins=10)
    assert found.count.sum() == 1000
    assert len(found.count) == 10
    assert (np.diff(found.predicted) > 0).all()


def test_reliability_never_splits_equal_predictions():
    found = reliability(np.array([0.0, 1.0, 0.0, 1.0]), np.full(4, 0.5), bins=10)
    assert found.count.tolist() == [4]
    assert found.observed.tolist() == [0.5]


def test_gini_bounds_and_scale():
    assert gini(np.full(10, 3.0)) == pytest.approx(0.0)
    one = np.zeros(10)
    one[3] = 5.0
    assert gini(one) == pytest.approx(0.9)
    x = np.random.default_rng(1).random(50)
    mean_difference = np.abs(x[:, None] - x).mean()
    assert gini(x) == pytest.approx(mean_difference / (2 * x.mean()))
    assert np.isnan(gini(np.zeros(3)))


def test_exposure_and_coverage():
    shown = exposure(np.array([0.5, 0.5, 0.9, 0.1]), np.array([0, 1, 0, 2], np.int32), 4)
    assert shown.tolist() == pytest.approx([1.4, 0.5, 0.1, 0.0])
    assert coverage(shown) == 0.25
    assert coverage(shown, 0.1) == 0.75


def test_category_entropy_splits_an_item_over_its_categories():
    categories = Ragged.from_rows([[0, 1], [0], []], np.int32)
    even = category_entropy(np.array([2.0, 0.0, 7.0]), categories, 2)
    assert even == pytest.approx(np.log(2))
    assert category_entropy(np.array([0.0, 1.0, 0.0]), categories, 2) == pytest.approx(0.0)
    assert np.isnan(category_entropy(np.array([0.0, 0.0, 1.0]), categories, 2))
