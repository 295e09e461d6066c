"""The candidate with the highest score always, but for exploration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows, segment_max, segment_sum


def greedy_with_floor(
    scores: NDArray[np.float64], offsets: NDArray[np.int64], floor: float
) -> NDArray[np.float64]:
    """(1 - floor) on the candidate with the highest score, and floor / K on each of K.

    Candidates that tie for the highest score share what it gets, so that their order decides
    nothing.

    Args:
        scores: float64, shape (N,), not NaN.
        offsets: int64, shape (n + 1,), of the candidate sets; none is empty.
        floor: share of uniform exploration, in [0, 1].

    Returns:
        Probability of every candidate, float64, shape (N,).

    Raises:
        ValueError: a score is NaN.

    Examples:
        >>> import numpy as np
        >>> from mrlm.policies.highest_score import greedy_with_floor
        >>> greedy_with_floor(np.array([0.2, 0.9, 0.5, 0.5]), np.array([0, 2, 4]), 0.1).tolist()
        [0.05, 0.9500000000000001, 0.5, 0.5]
    """
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} of {len(scores)} scores are NaN")
    row = rows(offsets)
    best = scores == segment_max(scores, offsets)[row]
    tied = segment_sum(best.astype(np.float64), offsets)
    uniform = 1.0 / np.diff(offsets)
    return np.asarray((1.0 - floor) * best / tied[row] + floor * uniform[row], np.float64)
