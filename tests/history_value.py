"""What decisions look back on, as most tests ask for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions


def history_value(decisions: Decisions) -> NDArray[np.float32]:
    """Known rewards of ``history`` by the histories' first objective; NaN where unknown."""
    first = decisions.histories.rewards[:, 0]
    return np.asarray(first[decisions.looked_back_on().values], np.float32)
