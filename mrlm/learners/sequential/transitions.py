"""Which decision follows which within a session, and where the future is unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.sessions.session_codes import session_codes
from mrlm.bandit_log.users import group


@dataclass(frozen=True)
class Transitions:
    """What comes after each of n decisions.

    Attributes:
        following: int64, shape (n,), the next decision of the session, or -1.
        terminal: bool, shape (n,), the session ended here: nothing follows, the return is the
            reward.
        truncated: bool, shape (n,), something may follow that the log does not hold. Such a row is
            neither terminal nor bootstrapped, and takes no part in temporal differences.
    """

    following: NDArray[np.int64]
    terminal: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


def transitions(log: BanditLog, session_gap_minutes: int) -> Transitions:
    """Link the decisions of each session by their steps.

    A row is truncated when the next step of its session is missing from the log (quarantined), when
    its user's next decision is within the gap in another night, or when its session ends so close
    to the log's last time that it may go on after it.

    Args:
        log: n decisions.
        session_gap_minutes: the longest pause within a session.
    """
    n = len(log)
    session = session_codes(log)
    order = np.lexsort((log.session_step, session))
    following = np.full(n, -1, np.int64)
    same = session[order[1:]] == session[order[:-1]]
    adjacent = log.session_step[order[1:]] == log.session_step[order[:-1]] + 1
    link = same & adjacent
    following[order[:-1][link]] = order[1:][link]
    gap = np.zeros(n, np.bool_)
    gap[order[:-1][same & ~adjacent]] = True
    last = following < 0
    open_until = log.decisions.ts + np.timedelta64(session_gap_minutes, "m")
    still_open = last & (open_until > log.decisions.ts.max()) if n else last
    truncated = gap | still_open | (last & _past_midnight(log, session_gap_minutes))
    return Transitions(following, last & ~truncated, truncated)


def _past_midnight(log: BanditLog, session_gap_minutes: int) -> NDArray[np.bool_]:
    """Whether the user goes on within the gap, in another night, shape (n,)."""
    user = group(log.decisions.user)[1]
    ts = log.decisions.ts
    order = np.lexsort((ts, user))
    before, after = order[:-1], order[1:]
    soon = ts[after] - ts[before] <= np.timedelta64(session_gap_minutes, "m")
    goes_on = np.zeros(len(log), np.bool_)
    goes_on[before] = soon & (user[before] == user[after]) & (log.night[before] != log.night[after])
    return goes_on
