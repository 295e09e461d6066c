from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from mrlm.log_checks.tails import (
    POWER,
    detectable_ratios,
    log_bernstein,
    log_lower_tail,
    log_upper_tail,
)


def exact(q: np.ndarray) -> np.ndarray:
    """Chances of 0, 1, ... successes of independent draws, by convolution."""
    found = np.ones(1)
    for p in q:
        found = np.convolve(found, [1 - p, p])
    return found


@pytest.mark.parametrize("kind", ["rare", "even", "mixed", "sure"])
def test_bounds_hold_for_draws_of_different_chances(kind: str) -> None:
    rng = np.random.default_rng(3)
    q = {
        "rare": rng.uniform(0, 0.02, 150),
        "even": rng.uniform(0.2, 0.7, 40),
        "mixed": np.concatenate([rng.uniform(0, 0.01, 100), rng.uniform(0.9, 1, 10)]),
        "sure": np.concatenate([np.ones(5), rng.uniform(0, 0.05, 60)]),
    }[kind]
    law = exact(q)
    count = np.arange(len(law), dtype=float)
    arguments = (q.sum(), float(len(q)), (q * (1 - q)).sum())
    upper = np.exp(log_upper_tail(count, *(np.full(len(law), a) for a in arguments)))
    lower = np.exp(log_lower_tail(count, *(np.full(len(law), a) for a in arguments)))
    assert (upper >= law[::-1].cumsum()[::-1] - 1e-12).all()
    assert (lower >= law.cumsum() - 1e-12).all()
    assert upper.max() <= 1
    # They are not only valid: nine standard deviations away, nothing is left.
    far = q.sum() + 9 * math.sqrt(arguments[2]) + 8
    assert far > len(q) or upper[math.ceil(far)] < 1e-8


def test_equal_draws_give_the_binomial_tail() -> None:
    n, p, seen = 300.0, 0.1, 55.0
    arguments = [np.array([x]) for x in (seen, n * p, n, n * p * (1 - p))]
    assert log_upper_tail(*arguments)[0] <= binom.logsf(seen - 1, n, p) + 1e-9


def test_bernstein_bounds_bounded_terms() -> None:
    rng = np.random.default_rng(5)
    p = 0.02
    sums = rng.binomial(200, p, 200_000) - 200 * p
    for distance in (4.0, 8.0, 12.0):
        bound = np.exp(log_bernstein(*map(np.array, (distance, 200 * p * (1 - p), 1.0))))
        assert (sums >= distance).mean() <= bound


@pytest.mark.statistics
def test_a_ratio_at_the_limit_is_found_with_its_power() -> None:
    """Within four standard errors of 2,000 draws: right code fails 1 in 5,000 times."""
    expected, trials, level = np.array([8.0, 40.0, 120.0]), 5_000.0, math.log(1e-6)
    lower, upper = detectable_ratios(expected, trials, level, 0.05)
    assert (upper > 1).all()
    assert (np.diff(upper) < 0).all()
    assert lower[0] == 0
    assert 0 < lower[1] < lower[2] < 1
    rng = np.random.default_rng(1)
    slack = 4 * math.sqrt(POWER * (1 - POWER) / 2_000)
    for ratio, tail, sign in ((upper, log_upper_tail, 1.05), (lower, log_lower_tail, 0.95)):
        for e, r in zip(expected, ratio, strict=True):
            if r == 0:
                continue
            seen = rng.binomial(int(trials), r * e / trials, 2_000).astype(float)
            null = np.full(2_000, e * sign)
            found = tail(seen, null, np.full(2_000, trials), null) <= level
            assert abs(found.mean() - POWER) <= slack + 0.02
