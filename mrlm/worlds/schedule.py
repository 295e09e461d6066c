"""When a user's slots are shown: spread over nights, requests and sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.worlds.counted_rows import edges, expand

MINUTES_BETWEEN_SESSIONS = (45.0, 150.0)
MINUTES_WITHIN_SESSION = (2.0, 12.0)
REQUESTS_A_SESSION = 3
MOST_SESSIONS_A_NIGHT = 6
LAST_MINUTE = 1430.0
SMALLEST_SQUEEZE = 0.5


@dataclass(frozen=True)
class Schedule:
    """Requests, sorted by (user, night, time).

    Attributes:
        user: int64, shape (q,).
        night: int64, shape (q,), from 0.
        slots: int64, shape (q,), slots that the request shows.
        minute: float64, shape (q,), minutes since midnight of the night; a user's requests of one
            night are at least a minute apart.
        opens: bool, shape (q,), whether the request is the first of a session.
    """

    user: NDArray[np.int64]
    night: NDArray[np.int64]
    slots: NDArray[np.int64]
    minute: NDArray[np.float64]
    opens: NDArray[np.bool_]


def plan(
    slots: NDArray[np.int64], nights: int, slots_a_request: int, rng: np.random.Generator
) -> Schedule:
    """Spread each user's ``slots``, int64 of shape (users,), evenly over the nights.

    A user with too few for two slots a night comes on fewer nights, evenly spaced. Requests of one
    night share its slots evenly. Sessions have about three requests minutes apart; hours lie
    between sessions.

    Raises:
        ValueError: a user has more requests in a night than its minutes can hold.
    """
    active = np.where(slots > 0, np.clip(slots // 2, 1, nights), 0)
    user, place = expand(active)
    share = slots[user] / active[user]
    start, phase = rng.random((2, len(slots)))[:, user]
    night = np.floor((place + start) * nights / active[user]).astype(np.int64)
    # The last edge is exact: sums of fractions must not lose or invent a slot.
    upper = np.where(
        place + 1 == active[user], slots[user], np.floor((place + 1) * share + phase - 1e-9)
    )
    upper = np.minimum(upper, slots[user]).astype(np.int64)
    lower = np.concatenate([[0], upper[:-1]])
    lower[place == 0] = 0
    of_night = upper - lower
    shown = of_night > 0
    user, night, of_night = user[shown], night[shown], of_night[shown]
    requests = -(-of_night // slots_a_request)
    visit, k = expand(requests)
    many = requests[visit]
    size = of_night[visit] * (k + 1) // many - of_night[visit] * k // many
    minute, opens = _minutes(requests, visit, k, rng)
    return Schedule(user[visit], night[visit], size, minute, opens)


def _minutes(
    requests: NDArray[np.int64],
    visit: NDArray[np.int64],
    k: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    sessions = np.clip(-(-requests // REQUESTS_A_SESSION), 1, MOST_SESSIONS_A_NIGHT)[visit]
    session = k * sessions // requests[visit]
    opens = (k == 0) | (session != np.concatenate([[0], session[:-1]]))
    within = rng.uniform(*MINUTES_WITHIN_SESSION, len(k))
    between = rng.uniform(*MINUTES_BETWEEN_SESSIONS, len(k))
    gap = np.where(k == 0, 0.0, np.where(opens, between, within))
    total = np.bincount(visit, weights=gap, minlength=len(requests))
    squeeze = np.minimum(1.0, LAST_MINUTE / np.maximum(total, 1.0))
    if len(squeeze) and squeeze.min() < SMALLEST_SQUEEZE:
        raise ValueError(
            f"a user has {requests.max()} requests in one night, too many for its minutes: "
            "spread the slots over more nights or show more slots a request"
        )
    start = rng.random(len(requests)) * (LAST_MINUTE - total * squeeze)
    ends = np.cumsum(gap)
    first = edges(requests)[:-1]
    since = ends - ends[first][visit] if len(gap) else ends
    return start[visit] + since * squeeze[visit], opens
