"""How much each row of the log counts where a model is to hold for items that the logger avoids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog


def selection_weights(log: BanditLog, clip: float) -> NDArray[np.float64]:
    """Importance weights of the shown items towards uniform shows, float64, shape (n,), mean 1.

    Of m candidates one was shown with probability p: its weight is 1 / (m p), at most ``clip``,
    then divided by the mean of all. So what the logger seldom shows counts as often as it was on
    offer. Source: Schnabel et al., Recommendations as treatments, 2016, with their weights clipped
    as by Strehl et al., Learning from logged implicit exploration data, 2010.

    Args:
        log: with a propensity in every row.
        clip: largest weight before the division, 1 or more.

    Raises:
        ValueError: the clip is below 1, or a row has no propensity.
    """
    if not clip >= 1:
        raise ValueError(f"clip {clip}: give 1 or more")
    missing = int((~(log.propensity > 0)).sum())
    if missing:
        raise ValueError(
            f"{missing} of {len(log)} rows have no propensity: estimate them first, or set "
            "behaviour.selection_clip to none"
        )
    lengths = log.decisions.candidates.lengths
    weights = np.minimum(1.0 / (lengths * log.propensity), clip)
    return np.asarray(weights / weights.mean(), np.float64)
