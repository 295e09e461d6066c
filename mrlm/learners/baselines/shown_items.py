"""What baselines are fitted on: which item was shown, and what it brought."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.learners.scalarisation import known_outcomes


def shown_items(
    log: BanditLog, objective: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The k decisions whose reward is known and final, in the order of the log.

    Returns:
        Their rows, int64, shape (k,); the code of the item that was shown, int64, shape (k,); and
        its reward, float64, shape (k,), finite.

    Raises:
        KeyError: the log has no such objective.
    """
    reward = known_outcomes(log)[:, log.column(objective)]
    row = np.flatnonzero(np.isfinite(reward))
    code = log.decisions.candidates.values[log.shown[row]].astype(np.int64)
    return row, code, reward[row]
