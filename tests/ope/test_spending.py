from __future__ import annotations

import math

import pytest

from mrlm.ope.nights.spending import NORMALISER, error_at, share


def test_normaliser_is_a_tight_upper_bound_of_the_sum():
    last = 200_000
    head = math.fsum(1 / (n * math.log(n) ** 2) for n in range(2, last + 1))
    # The terms fall and are convex: the rest lies between these two integrals.
    above, below = 1 / math.log(last + 0.5), 1 / math.log(last + 1)
    assert head + above <= NORMALISER
    assert head + below <= NORMALISER <= head + above + 1e-6


def test_all_looks_together_stay_below_the_total():
    spent = math.fsum(error_at(t, 0.05) for t in range(1, 100_000))
    assert 0.9 * 0.05 < spent < 0.05


def test_shares_fall():
    shares = [share(t) for t in range(1, 400)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] < 0.5


def test_looks_are_counted_from_one():
    with pytest.raises(ValueError, match="from 1"):
        share(0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        error_at(1, 1.0)
