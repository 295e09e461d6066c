"""What the rounds of each logger tell of a pair of policies, known before any reward is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group

# A logger whose estimate seems to vary less than this share of the pooled rounds' variance has
# shown too little to be believed.
LEAST_VARIANCE = 0.01


def precision_by_logger(
    logger: NDArray[Any], divergence: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What each logger's rounds tell of a pair: their number over their mean divergence.

    One over the variance of its estimate, where rewards are alike and up to a factor that all
    loggers share.

    Args:
        logger: int64 or str, shape (n,), which logger made each round; K different ones.
        divergence: float64, shape (n,), of each round, above 0 for some; ``divergence`` gives it.

    Returns:
        float64, shape (K,), above 0, the loggers in ascending order of their names.
    """
    _, code = group(logger)
    rows = np.bincount(code).astype(np.float64)
    mean = np.bincount(code, divergence) / rows
    found: NDArray[np.float64] = rows / np.maximum(mean, LEAST_VARIANCE * mean.mean())
    return found
