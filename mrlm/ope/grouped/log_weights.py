"""Running importance weights of ragged sequences, in log space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Weights beyond exp(+-150) are held there: squares of ratios of them stay finite and above 0. A log
# of which such weights are all that counts fails the test of the mean weight or of the dominant
# weight, so no certified number depends on the cap.
LOG_CAP = 150.0


def log_ratio(target: NDArray[np.float64], propensity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of target over propensity; -inf where the target is 0."""
    with np.errstate(divide="ignore"):
        out: NDArray[np.float64] = np.log(target) - np.log(propensity)
    return out


def running_log_weight(
    log_ratios: NDArray[np.float64], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sum of the log ratios from the start of each sequence to each step, float64, shape (S,).

    The running sum is compensated (Knuth's TwoSum at every addition), so its error does not grow
    with the number of steps or of sequences. From the first ratio of -inf on it is -inf.

    Args:
        log_ratios: float64, shape (S,), log target less log propensity; finite or -inf.
        offsets: int64, shape (n + 1,), offsets of the sequences; none is empty.
    """
    never = np.isneginf(log_ratios)
    x = np.where(never, 0.0, log_ratios)
    total = np.cumsum(x)
    before = np.concatenate([[0.0], total[:-1]])
    added = total - before
    lost = np.cumsum((before - (total - added)) + (x - added))
    lengths, first = np.diff(offsets), offsets[:-1]
    base = np.repeat(before[first], lengths)
    base_lost = np.repeat(np.concatenate([[0.0], lost[:-1]])[first], lengths)
    out: NDArray[np.float64] = (total - base) + (lost - base_lost)
    if never.any():
        count = np.cumsum(never)
        earlier: NDArray[np.int64] = np.repeat(count[first] - never[first], lengths)
        out[count > earlier] = -np.inf
    return out


def weight_of(log_weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponential of log weights, held within exp(+-``LOG_CAP``); exactly 0 for -inf."""
    capped = np.clip(log_weight, -LOG_CAP, LOG_CAP)
    return np.where(np.isneginf(log_weight), 0.0, np.exp(capped))
