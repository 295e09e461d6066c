"""A smaller log of whole sessions or users, drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.bandit_log import BanditLog


def sample_groups(
    log: BanditLog, group: NDArray[Any], limit: int, seed: int, least: int = 1
) -> BanditLog:
    """All decisions of groups drawn at random, at most about ``limit``, in the log's order.

    Args:
        log: n decisions; it is returned as it is where it has no more than ``limit``.
        group: shape (n,), such as the session or the user of each decision.
        limit: decisions.
        seed: of the draw.
        least: groups that are taken even where they are larger than that.
    """
    if len(log) <= limit:
        return log
    groups, place, counts = np.unique(group.astype(str), return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(groups))
    many = max(int((np.cumsum(counts[order]) <= limit).sum()), least)
    taken = np.zeros(len(groups), np.bool_)
    taken[order[:many]] = True
    return log.where(taken[place])
