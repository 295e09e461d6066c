"""How improbable a count is: bounds that hold at any size, and what they can find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainccinv, gammaincinv
from scipy.stats import binom

Floats = NDArray[np.float64]
POWER = 0.8


def log_upper_tail(observed: Floats, expected: Floats, trials: Floats, variance: Floats) -> Floats:
    """Log of a bound on the chance of so many successes or more.

    The successes are those of ``trials`` independent draws of different probability. The smaller of
    two bounds, each of which holds without any approximation: the binomial tail at the mean
    probability (Hoeffding, Annals of Mathematical Statistics 1956, theorem 4) from one above the
    expected number on, and Bennett's inequality (JASA 1962, equation 8b).

    Args:
        observed: successes, float64, any shape.
        expected: sum of the probabilities q, broadcast to it, as what follows.
        trials: number of draws.
        variance: sum of q (1 - q), or more.

    Returns:
        float64, at most 0.
    """
    bound = _bennett(observed - expected, variance)
    use = (observed >= expected + 1) & (trials > 0) & (bound < 0)
    chance = np.clip(_over(expected, trials), 0.0, 1.0)
    tail = np.where(use, binom.logsf(observed - 1, np.maximum(trials, observed), chance), 0.0)
    return np.where(np.isfinite(tail), np.minimum(bound, tail), bound)


def log_lower_tail(observed: Floats, expected: Floats, trials: Floats, variance: Floats) -> Floats:
    """Log of a bound on the chance of so few successes or fewer; see ``log_upper_tail``."""
    bound = _bennett(expected - observed, variance)
    use = (observed <= expected - 1) & (trials > 0) & (bound < 0)
    chance = np.clip(_over(expected, trials), 0.0, 1.0)
    tail = np.where(use, binom.logcdf(observed, trials, chance), 0.0)
    return np.where(np.isfinite(tail), np.minimum(bound, tail), bound)


def log_bernstein(distance: Floats, variance: Floats, largest: Floats) -> Floats:
    """Log of a bound on the chance that a sum of centred terms lies so far on one side.

    Bernstein's inequality, for martingale differences too (Freedman, Annals of Probability 1975).

    Args:
        distance: of the sum from 0, on that side; float64, any shape.
        variance: of the sum, or more.
        largest: bound of every term on that side.

    Returns:
        float64, at most 0; 0 where the distance is not above 0.
    """
    distance = np.maximum(distance, 0.0)
    return -_over(distance**2, 2.0 * (variance + largest * distance / 3.0))


def detectable_ratios(
    expected: Floats, trials: Floats, log_level: float, tolerance: float, power: float = POWER
) -> tuple[Floats, Floats]:
    """Shares of the expected number of successes that would be found with the given power.

    Args:
        expected: successes, float64, shape (n,).
        trials: draws, the same shape.
        log_level: log of the error of one test.
        tolerance: relative distance from ``expected`` that is not looked for.
        power: chance of being found.

    Returns:
        lower and upper, shape (n,): smaller and larger ratios than these are found more often. A
        lower one of 0 means that not even an item that is never shown would be found; both take
        counts for Poisson, which varies no less than draws do.
    """
    expected = np.asarray(expected, np.float64)
    trials = np.broadcast_to(np.asarray(trials, np.float64), expected.shape)
    most, fewest = expected * (1 + tolerance), expected * (1 - tolerance)

    def refuted_above(count: Floats) -> NDArray[np.bool_]:
        return log_upper_tail(count, most, trials, most) <= log_level

    def refuted_below(count: Floats) -> NDArray[np.bool_]:
        return log_lower_tail(count, fewest, trials, fewest) <= log_level

    low, high = np.floor(most), np.ceil(most * 2 + 50 - 10 * log_level)
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        found = refuted_above(middle)
        low, high = np.where(found, low, middle), np.where(found, middle, high)
    upper = _over(gammaincinv(high, power), expected, empty=np.inf)
    low, top = np.full(expected.shape, -1.0), np.ceil(fewest)
    while (top - low > 1).any():
        middle = np.floor((low + top) / 2)
        found = refuted_below(middle)
        low, top = np.where(found, middle, low), np.where(found, top, middle)
    mean = np.where(low >= 0, gammainccinv(np.maximum(low, 0) + 1, power), 0.0)
    return _over(mean, expected, empty=0.0), upper


def _bennett(distance: Floats, variance: Floats) -> Floats:
    distance = np.maximum(distance, 0.0)
    # Where nothing can vary, any distance is improbable.
    variance = np.maximum(variance, 1e-12)
    u = distance / variance
    return -variance * ((1.0 + u) * np.log1p(u) - u)


def _over(a: Floats, b: Floats, empty: float = 0.0) -> Floats:
    """Quotient of a and b, and ``empty`` where b is 0."""
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    out = np.full(a.shape, empty)
    np.divide(a, b, out=out, where=b > 0)
    return out
