"""Greedy with a floor: exact probabilities, ties, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log.ragged import segment_sum
from mrlm.policies.greedy import greedy_with_floor

OFFSETS = np.array([0, 3, 5, 6])


def test_the_best_gets_all_but_the_floor() -> None:
    found = greedy_with_floor(np.array([1.0, 3.0, 2.0, -5.0, -4.0, 0.0]), OFFSETS, 0.3)
    np.testing.assert_allclose(found, [0.1, 0.8, 0.1, 0.15, 0.85, 1.0], rtol=1e-15)


def test_ties_share_whatever_their_order() -> None:
    found = greedy_with_floor(np.array([2.0, 1.0, 2.0, 7.0, 7.0, 0.0]), OFFSETS, 0.0)
    assert found.tolist() == [0.5, 0.0, 0.5, 0.5, 0.5, 1.0]


@pytest.mark.parametrize("floor", [0.0, 0.1, 1.0])
def test_probabilities_sum_to_one(floor: float) -> None:
    scores = np.random.default_rng(0).integers(0, 3, 6).astype(np.float64)
    found = greedy_with_floor(scores, OFFSETS, floor)
    np.testing.assert_allclose(segment_sum(found, OFFSETS), 1.0, rtol=1e-15)
    assert (found >= floor / np.repeat(np.diff(OFFSETS), np.diff(OFFSETS)) - 1e-15).all()


def test_scores_of_nothing_are_infinite_and_never_best() -> None:
    scores = np.array([-np.inf, 0.0, -np.inf, 1.0, 0.0, -np.inf])
    assert greedy_with_floor(scores, OFFSETS, 0.0).tolist() == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 6 scores are NaN"):
        greedy_with_floor(np.array([0.0, np.nan, 0.0, 0.0, 0.0, 0.0]), OFFSETS, 0.1)
