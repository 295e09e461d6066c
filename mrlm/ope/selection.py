"""SLOPE: choice of the least variable estimate that does not contradict a less biased one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def slope(value: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index chosen for each objective, int64, shape (m,).

    The largest i such that the intervals value[j] +- 2 width[j] of all j <= i share a point; Su,
    Srinath and Krishnamurthy (2020), algorithm 1. Widths above an earlier one count as that one's
    would: a later member may not be excused by its own noise.

    Args:
        value: estimates, shape (k, m), ordered from the least biased to the most.
        width: half-widths of their confidence intervals, shape (k, m), without the bias.

    Raises:
        ValueError: there is no estimate, or a value or a width is not finite.
    """
    if len(value) == 0 or value.shape != width.shape:
        raise ValueError(
            f"values and widths must have one shape, of at least one estimate; got {value.shape} "
            f"and {width.shape}"
        )
    if not (np.isfinite(value).all() and np.isfinite(width).all()):
        raise ValueError("a value or a width is not finite: too few users to choose on")
    shrinking = np.minimum.accumulate(width, axis=0)
    lower = np.maximum.accumulate(value - 2 * shrinking, axis=0)
    upper = np.minimum.accumulate(value + 2 * shrinking, axis=0)
    # Once empty, the intersection stays empty, so the members that agree come first.
    chosen: NDArray[np.int64] = (lower <= upper).sum(0) - 1
    return chosen
