"""Rules of choice among estimates of one value: SLOPE, and the least squared error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def slope(value: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index chosen for each objective, int64, shape (m,).

    The largest i such that the intervals value[j] +- 2 width[j] of all j <= i share a point; Su,
    Srinath and Krishnamurthy (2020), algorithm 1. Widths above an earlier one count as that one's
    would: a later member may not be excused by its own noise.

    What is chosen is at most a constant factor worse than the best member, and that is all: a bias
    of up to four widths contradicts nothing, so of members that lean to one side, as clipped
    weights do with rewards of one sign, it takes one that is further from the truth than the first.

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


def least_bound(
    value: NDArray[np.float64],
    error: NDArray[np.float64],
    apart: NDArray[np.float64],
    quantile: float,
) -> NDArray[np.int64]:
    """Index of the least bound on the squared error for each objective, int64, shape (m,).

    Squared error of the member plus the square of the largest bias that the log allows it: its
    distance from the first member, and ``quantile`` standard errors of that distance, which is
    small where both read the same rounds. A member is taken only where it is better than the first
    at its worst; of equals the first is.

    Args:
        value: estimates, shape (k, m); the first one's bias is taken for 0.
        error: their standard errors, shape (k, m).
        apart: standard errors of their differences from the first, shape (k, m), the first row 0.
        quantile: of the normal distribution.

    Raises:
        ValueError: something is not finite.
    """
    if not (np.isfinite(value).all() and np.isfinite(error).all() and np.isfinite(apart).all()):
        raise ValueError("a value or its error is not finite: too few users to choose on")
    bias = np.abs(value - value[0]) + quantile * apart
    chosen: NDArray[np.int64] = (error**2 + bias**2).argmin(0)
    return chosen


def least_error(
    value: NDArray[np.float64], covariance: NDArray[np.float64], covers: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Index of the least estimated mean squared error for each objective, int64, shape (m,).

    Variance plus squared bias. The bias of a member that does not cover the policy's value is its
    distance from the least variable of those that do, squared, less what chance alone would make of
    it: ``max(0, (value - reference)^2 - var(value - reference))``. Of equals the first is taken.

    Args:
        value: estimates, shape (k, m).
        covariance: of the k estimates of each objective, shape (m, k, k).
        covers: shape (k,), whose bias vanishes as the log grows.

    Raises:
        ValueError: no member covers the policy's value, or something is not finite.
    """
    if not covers.any():
        raise ValueError(
            "no member covers the policy's value, so no bias can be estimated: add ips, snips or dr"
        )
    if not (np.isfinite(value).all() and np.isfinite(covariance).all()):
        raise ValueError("a value or a variance is not finite: too few users to choose on")
    variance = np.diagonal(covariance, axis1=1, axis2=2).T
    reference = np.where(covers[:, None], variance, np.inf).argmin(0)
    every = np.arange(value.shape[1])
    between = variance + variance[reference, every] - 2 * covariance[every, :, reference].T
    square = np.maximum((value - value[reference, every]) ** 2 - between, 0.0)
    chosen: NDArray[np.int64] = (variance + np.where(covers[:, None], 0.0, square)).argmin(0)
    return chosen
