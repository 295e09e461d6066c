"""What a reward model predicts for every candidate, objective by objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Objective
from mrlm.bandit_log.known_rewards import known_rewards


def by_objective(
    log: BanditLog, objectives: Sequence[Objective], heads: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Predicted reward of every candidate for every objective, float64, shape (N, m).

    Objectives known from the item or the list are exact.

    Args:
        log: n decisions with N candidates in all.
        objectives: m columns of the result.
        heads: objective name to float64 of shape (N,); others are not read.

    Raises:
        KeyError: an objective that comes from feedback has no head.
    """
    columns = [
        heads[o.name] if o.source == "feedback" else known_rewards(log.decisions, o)
        for o in objectives
    ]
    return np.stack(columns, axis=1)
