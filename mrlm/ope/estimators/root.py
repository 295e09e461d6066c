"""Roots of decreasing functions whose every evaluation is one pass over a log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
PASSES = 100


def decreasing_root(
    function: Callable[[Numbers], tuple[Numbers, Numbers]], low: Numbers, high: Numbers
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Root of each of m decreasing functions between its bounds, by Newton inside a bracket.

    Args:
        function: value and derivative at m points, each of shape (m,).
        low: lower bounds, shape (m,), at most 0.
        high: upper bounds, shape (m,), at least 0.

    Returns:
        The roots, or the nearer bound where there is none inside, and whether each is a root,
        shape (m,).
    """
    below, above = function(low)[0] <= 0, function(high)[0] >= 0
    inside = ~below & ~above & (low < high)
    a, b = low.copy(), high.copy()
    x = np.zeros(len(low))
    for _ in range(PASSES):
        value, slope = function(x)
        a, b = np.where(value > 0, x, a), np.where(value < 0, x, b)
        step = np.zeros(len(x))
        np.divide(-value, slope, out=step, where=slope < 0)
        # A step out of the bracket is replaced by its middle.
        proposed = x + step
        new = np.where((proposed > a) & (proposed < b), proposed, (a + b) / 2)
        new = np.where(value == 0, x, new)
        done = np.abs(new - x) <= 4 * np.finfo(np.float64).eps * np.maximum(np.abs(x), b - a)
        x = new
        if (done | ~inside).all():
            break
    return np.where(inside, x, np.where(below, low, high)), inside
