from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log import Ragged
from mrlm.metrics import (
    auc,
    calibration_error,
    category_entropy,
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
