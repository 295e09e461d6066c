"""The level of each look at a challenger that is tested over several nights."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from mrlm.ope.nights.group_sequential import boundaries, error_of_a_test, power_family


def look_level(
    looks: tuple[int, ...], test_nights: int, total: float, rows: tuple[int, ...] = ()
) -> float:
    """One-sided level of the newest look of a test.

    A test has 1 / 365 of the ``total`` error and spends it on its looks by ``power_family``, with
    the nights of its horizon for time and the decisions for information: nights may be of unlike
    size. No more than one test begins a night, so by the union bound the chance of any wrong
    passing in any 365 nights is at most ``total``, whatever ends a test and however challengers
    depend on one another. What a test that ended early has not spent is not given to the next:
    tests are ended for what they showed, and those that go on are the ones that would have used it.

    Args:
        looks: gate nights that each look rests on, rising, the newest last.
        test_nights: most nights of a test.
        total: bound on the error of all tests that begin in 365 nights.
        rows: decisions that each look rests on; where they do not rise, the nights are taken.

    Raises:
        ValueError: looks do not rise from 1 or more.
    """
    if not _rise(looks):
        raise ValueError(f"gate nights of looks must rise from 1 or more; got {list(looks)}")
    known = len(rows) == len(looks) and _rise(rows)
    return _level(looks, test_nights, total, rows if known else looks)


def last_level(test_nights: int, total: float) -> float:
    """One-sided level of the last look of a test that is looked at every night."""
    return look_level(tuple(range(1, test_nights + 1)), test_nights, total)


def _rise(numbers: tuple[int, ...]) -> bool:
    return bool(numbers) and numbers[0] >= 1 and all(a < b for a, b in pairwise(numbers))


@lru_cache(maxsize=4096)
def _level(looks: tuple[int, ...], most: int, total: float, information: tuple[int, ...]) -> float:
    from scipy.special import ndtr

    error = error_of_a_test(total, 1)
    # Two gate nights at once may be more than the test has left.
    spent = [power_family(min(nights / most, 1.0), error) for nights in looks]
    return float(ndtr(-boundaries(information, spent)[-1]))
