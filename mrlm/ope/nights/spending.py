"""Spending a bound on error over an unlimited number of looks, one a night."""

from __future__ import annotations

import math

from mrlm.ope.checks import check_between_0_and_1

# At least the sum of 1 / (n log(n)^2) over n >= 2, so that all shares together stay below 1. The
# tests derive it: the terms up to N, and for the convex rest the integral from N + 1/2, which is
# 1 / log(N + 1/2).
NORMALISER = 2.1097428013


def share(look: int) -> float:
    """Share of the total error that look t = 1, 2, ... may spend: 1 / ((t + 1) log(t + 1)^2) / sum.

    By the union bound the chance of any error over all looks, however many and whatever was chosen
    to be looked at, is at most the total.

    Raises:
        ValueError: the look is not 1 or more.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1; got {look}")
    return 1.0 / ((look + 1) * math.log(look + 1) ** 2) / NORMALISER


def error_at(look: int, total: float) -> float:
    """One-sided error that may be spent at this look when ``total`` bounds all looks together.

    Raises:
        ValueError: the look is not 1 or more, or the total is not in (0, 1).
    """
    check_between_0_and_1("total error", total)
    return total * share(look)
