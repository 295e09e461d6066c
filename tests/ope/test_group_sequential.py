from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from mrlm.ope.nights.group_sequential import (
    boundaries,
    error_of_a_test,
    obrien_fleming,
    passing,
    pocock,
)

FIVE = (1.0, 2.0, 3.0, 4.0, 5.0)


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        (obrien_fleming, (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)),
        (pocock, (2.4380, 2.4268, 2.4102, 2.3966, 2.3860)),
    ],
)
def test_boundaries_are_those_of_the_tables(spending, published):
    """gsDesign's sfLDOF and sfLDPocock, five looks, one-sided 0.025."""
    found = boundaries(FIVE, [spending(i / 5, 0.025) for i in FIVE])
    assert found == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize("drift", [0.0, 0.4])
def test_passing_is_what_the_normal_distribution_says(drift):
    """Against scipy's multivariate normal integral, which shares no code with the recursion."""
    information, bounds = np.array([1.0, 1.7, 4.0]), np.array([2.2, 1.9, 2.0])
    found = passing(information, bounds, drift)
    root = np.sqrt(information)
    correlation = np.minimum.outer(root, root) / np.maximum.outer(root, root)
    inside = [1.0]
    for k in (1, 2, 3):
        law = multivariate_normal(drift * root[:k], correlation[:k, :k])
        inside.append(float(law.cdf(bounds[:k])))
    assert found == pytest.approx(-np.diff(inside), abs=1e-5)


def test_all_looks_together_spend_the_error_and_no_more():
    nights = range(1, 15)
    error = error_of_a_test(0.05, 14, 14)
    for spending in (obrien_fleming, pocock):
        bounds = boundaries(nights, [spending(n / 14, error) for n in nights])
        assert passing(nights, bounds).sum() == pytest.approx(error, rel=1e-6)


def test_one_look_is_the_plain_test():
    assert boundaries([3.0], [0.025])[0] == pytest.approx(1.959964, abs=1e-6)
    assert passing([3.0], [1.96], drift=1.0)[0] == pytest.approx(ndtr(math.sqrt(3) - 1.96))


def test_where_nothing_is_left_to_spend_nothing_passes():
    found = boundaries([1.0, 2.0, 3.0], [0.01, 0.01, 0.02])
    assert np.isinf(found).tolist() == [False, True, False]


def test_the_year_is_split_over_its_tests():
    assert error_of_a_test(0.05, 14, 14) == pytest.approx(0.05 / 27)
    assert error_of_a_test(0.05, 1, 1) == pytest.approx(0.05 / 365)
    # The first of the year follows one that began before it and took all its nights.
    worst = [14, *[1] * 11, 14, 3, *[14] * 24]
    assert sum(worst[1:]) == 364
    spent = sum(error_of_a_test(0.05, 14, before) for before in worst)
    assert spent == pytest.approx(0.05)
    assert obrien_fleming(1.0, 0.01) == pytest.approx(0.01)
    assert pocock(1.0, 0.01) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: boundaries([1.0, 1.0], [0.01, 0.02]), "rise"),
        (lambda: boundaries([1.0, 2.0], [0.02, 0.01]), "must not fall"),
        (lambda: boundaries([1.0], [0.01, 0.02]), "one number a look"),
        (lambda: passing([], []), "one number a look"),
        (lambda: obrien_fleming(0.0, 0.05), "share of the horizon"),
        (lambda: pocock(0.5, 1.5), "between 0 and 1"),
        (lambda: error_of_a_test(0.05, 14, 0), "1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
