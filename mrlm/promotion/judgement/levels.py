"""The level of each look at a challenger that is tested over several nights."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from mrlm.ope.nights.group_sequential import boundaries, error_of_a_test, power_family


def look_level(
    looks: tuple[int, ...],
    test_nights: int,
    total: float,
    information: tuple[float, ...] = (),
    before: int = 1,
) -> float:
    """One-sided level of the newest look of a test.

    A test has the share of the ``total`` error that the nights of the test before it have earned
    (``error_of_a_test``), known before its own first night, and spends it on its looks by
    ``power_family``, with the nights of its horizon for time and the decisions, or the precision,
    for information: nights may be of unlike size, and a trial's tell much more than those before
    it. So the chance of any wrong passing in any 365 nights is at most ``total``, whatever ends a
    test. What a test that ended early has not spent is not given to the next: tests are ended for
    what they showed, and those that go on are the ones that would have used it.

    Args:
        looks: gate nights that each look rests on, rising, the newest last.
        test_nights: most nights of a test.
        total: bound on the error of all tests that begin in 365 nights.
        information: decisions that each look rests on, or one over the variance of its estimate;
            where it does not rise, the nights are taken.
        before: gate nights that the test before this one took.

    Raises:
        ValueError: looks do not rise from 1 or more.
    """
    if not rise(looks):
        raise ValueError(f"gate nights of looks must rise from 1 or more; got {list(looks)}")
    known = len(information) == len(looks) and rise(information)
    error = error_of_a_test(total, test_nights, before)
    return _level(looks, test_nights, error, information if known else looks)


def last_level(test_nights: int, total: float, before: int) -> float:
    """One-sided level of the last look of a test that is looked at every night."""
    return look_level(tuple(range(1, test_nights + 1)), test_nights, total, before=before)


def rise(numbers: tuple[float, ...]) -> bool:
    """Whether there are numbers, above 0 and each above the one before."""
    return bool(numbers) and numbers[0] > 0 and all(a < b for a, b in pairwise(numbers))


@lru_cache(maxsize=4096)
def _level(
    looks: tuple[int, ...], most: int, error: float, information: tuple[float, ...]
) -> float:
    from scipy.special import ndtr

    # Two gate nights at once may be more than the test has left.
    spent = [power_family(min(nights / most, 1.0), error) for nights in looks]
    return float(ndtr(-boundaries(information, spent)[-1]))
