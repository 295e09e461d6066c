from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log import Ragged
from mrlm.metrics.effective_number import (
    effective_number,
    entropy_gradient,
    group_shows,
    rarity,
)

# Of five candidates the third has two groups, the last none.
GROUPS = Ragged.from_rows([[0], [1], [1, 2], [0], []], np.int64)


def test_shows_are_split_over_groups_and_equal_shares_count_as_many() -> None:
    shows = group_shows(np.array([0.5, 0.1, 0.4, 0.5, 0.5]), GROUPS)
    np.testing.assert_allclose(shows, [1.0, 0.3, 0.2])
    assert effective_number(np.array([2.0, 2.0, 0.0, 2.0])) == pytest.approx(3.0)
    assert effective_number(np.array([0.0, 7.0])) == pytest.approx(1.0)
    assert np.isnan(effective_number(np.zeros(2)))
    # 1/2, 1/4, 1/4: an entropy of 1.5 bits.
    assert effective_number(np.array([2.0, 1.0, 1.0])) == pytest.approx(2**1.5)


def test_the_gradient_is_that_of_the_logarithm() -> None:
    p = np.array([0.5, 0.1, 0.4, 0.3, 0.7])
    value, gradient = entropy_gradient(group_shows(p, GROUPS), GROUPS)
    assert value == pytest.approx(np.log(effective_number(group_shows(p, GROUPS))))
    for j in range(len(p)):
        step = np.eye(len(p))[j] * 1e-6
        above, below = (effective_number(group_shows(p + s, GROUPS)) for s in (step, -step))
        assert gradient[j] == pytest.approx(np.log(above / below) / 2e-6, rel=1e-6, abs=1e-9)


def test_what_is_shown_seldom_raises_the_number_most() -> None:
    shows = np.array([6.0, 3.0, 1.0, 0.0])
    found = rarity(shows)
    np.testing.assert_allclose(found, -np.log([0.6, 0.3, 0.1, 0.1]))
    _, gradient = entropy_gradient(shows[:3], Ragged.from_rows([[0], [1], [2]], np.int64))
    # But for what all have in common, over the sum of the shows.
    np.testing.assert_allclose(np.diff(gradient) * 10, np.diff(found[:3]))
