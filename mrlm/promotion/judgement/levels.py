"""The level of each look at a challenger that is tested over several nights."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from mrlm.ope.nights.group_sequential import boundaries, error_of_a_test, power_family
from mrlm.promotion.settings import GateSettings


def look_level(looks: tuple[int, ...], settings: GateSettings) -> float:
    """One-sided level of the newest look of a test.

    A test has 1 / 365 of ``false_promotions`` and spends it on its looks by ``power_family``: group
    sequential boundaries, with the nights for information. No more than one test begins a night,
    so by the union bound the chance of any wrong promotion in any 365 nights is at most
    ``false_promotions``, whatever ends a test and however challengers depend on one another. What
    a test that ended early has not spent is not given to the next: tests are ended for what they
    showed, and those that go on are the ones that would have used it.

    Args:
        looks: gate nights that each look rests on, rising, the newest last.
        settings: the rule's.

    Raises:
        ValueError: looks do not rise from 1 or more.
    """
    if not looks or looks[0] < 1 or any(b <= a for a, b in pairwise(looks)):
        raise ValueError(f"gate nights of looks must rise from 1 or more; got {list(looks)}")
    return _level(looks, settings.test_nights, settings.false_promotions)


def last_level(settings: GateSettings) -> float:
    """One-sided level of the last look of a test that is looked at every night."""
    return look_level(tuple(range(1, settings.test_nights + 1)), settings)


@lru_cache(maxsize=4096)
def _level(looks: tuple[int, ...], most: int, total: float) -> float:
    from scipy.special import ndtr

    error = error_of_a_test(total, 1)
    # Two gate nights at once may be more than the test has left.
    spent = [power_family(min(nights / most, 1.0), error) for nights in looks]
    return float(ndtr(-boundaries(looks, spent)[-1]))
