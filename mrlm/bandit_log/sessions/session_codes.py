"""Which decisions are of one session."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.bandit_log import BanditLog
from mrlm.bandit_log.users import group


def session_codes(log: BanditLog) -> NDArray[np.int64]:
    """Number of each decision's session, int64, shape (n,), from 0, by user, then name, then night.

    A session is what one user did under one name in one night: another user's session may have the
    same name, and the steps of a name that goes on past midnight begin again.
    """
    night = np.unique(log.night, return_inverse=True)[1]
    named = pair_codes(group(log.decisions.user)[1], group(log.session)[1])
    return pair_codes(named, night)


def pair_codes(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each pair of numbers from 0, which sort as the pairs do.

    Args:
        first: int64, shape (n,).
        second: int64, shape (n,).
    """
    together = first.astype(np.int64) * (int(second.max(initial=0)) + 1) + second
    codes: NDArray[np.int64] = np.unique(together, return_inverse=True)[1]
    return codes
