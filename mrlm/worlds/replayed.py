"""Replay of complete ratings: each rating is offered until it is shown, and shown once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Ragged
from mrlm.worlds.counted_rows import edges, expand
from mrlm.worlds.logger import SoftmaxLogger, draw
from mrlm.worlds.ratings import CompleteRatings
from mrlm.worlds.schedule import Schedule, plan


@dataclass(frozen=True)
class ReplaySettings:
    """How ratings become a log.

    Attributes:
        nights: nights that the log covers.
        first_night: ISO date.
        pool: films on offer when a request starts: the user's next ones not shown before.
        min_candidates: a slot offers at least as many; the rest of the ratings is never shown.
        slots_a_request: the most slots that one request shows.
        max_slots: the most slots of one user, or None.
    """

    nights: int = 12
    first_night: str = "2026-11-09"
    pool: int = 20
    min_candidates: int = 10
    slots_a_request: int = 4
    max_slots: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.min_candidates <= self.pool - self.slots_a_request + 1:
            raise ValueError(
                f"min_candidates {self.min_candidates} must leave room in a pool of {self.pool} "
                f"for {self.slots_a_request} slots a request"
            )


@dataclass(frozen=True)
class ReplayedWorld:
    """n decisions sorted by (user, time, position), N candidates in all.

    Attributes:
        ratings: what was replayed.
        settings: how.
        logger: the policy that chose.
        user: int64, shape (n,).
        night: int64, shape (n,), from 0.
        request: int64, shape (n,), number of the request.
        position: int32, shape (n,), 1 at the top.
        ts: datetime64[ms] in UTC, shape (n,), one a request.
        opens: bool, shape (n,), whether the request is the first of a session.
        candidates: ragged int64 rows of ``ratings``, in the order of the item's identifier.
        propensity: float64, shape (N,), of every candidate given the films above.
        action: int64, shape (n,), place of the shown film in its candidate set.
    """

    ratings: CompleteRatings
    settings: ReplaySettings
    logger: SoftmaxLogger
    user: NDArray[np.int64]
    night: NDArray[np.int64]
    request: NDArray[np.int64]
    position: NDArray[np.int32]
    ts: NDArray[np.datetime64]
    opens: NDArray[np.bool_]
    candidates: Ragged
    propensity: NDArray[np.float64]
    action: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def shown(self) -> NDArray[np.int64]:
        """Row of ``ratings`` that was shown, int64, shape (n,)."""
        rows: NDArray[np.int64] = self.candidates.values[self.candidates.offsets[:-1] + self.action]
        return rows

    @property
    def shown_propensity(self) -> NDArray[np.float64]:
        """Propensity of what was shown, float64, shape (n,)."""
        chosen = self.candidates.offsets[:-1] + self.action
        return np.asarray(self.propensity[chosen], np.float64)

    def item_codes(self) -> Ragged:
        """Candidates as int32 item codes."""
        codes = self.ratings.item[self.candidates.values.astype(np.int64)]
        return Ragged(self.candidates.offsets, codes)

    def night_name(self, night: int) -> str:
        """ISO date of a night, from 0."""
        return str(np.datetime64(self.settings.first_night, "D") + night)


def replay(
    ratings: CompleteRatings,
    *,
    seed: int,
    settings: ReplaySettings | None = None,
    logger: SoftmaxLogger | None = None,
) -> ReplayedWorld:
    """Show each user their rated films, the next ``pool`` at a time, as ``logger`` chooses.

    The same seed and input give the same log.
    """
    settings = settings or ReplaySettings()
    logger = logger or SoftmaxLogger()
    rng = np.random.default_rng(seed)
    schedule = schedule_of(ratings, settings, rng)
    pools, propensities, chosen = _show(ratings, schedule, settings, logger, rng)

    code = np.where(pools >= 0, ratings.item[pools], np.iinfo(np.int32).max)
    order = np.argsort(code, axis=1, kind="stable")
    pools = np.take_along_axis(pools, order, axis=1)
    propensities = np.take_along_axis(propensities, order, axis=1)
    offered = pools >= 0
    request, place = expand(schedule.slots)
    ts = times_of(schedule, settings)
    return ReplayedWorld(
        ratings=ratings,
        settings=settings,
        logger=logger,
        user=schedule.user[request],
        night=schedule.night[request],
        request=request,
        position=(place + 1).astype(np.int32),
        ts=ts[request],
        opens=schedule.opens[request],
        candidates=Ragged(edges(offered.sum(axis=1)), pools[offered]),
        propensity=propensities[offered],
        action=np.argmax(pools == chosen[:, None], axis=1),
    )


def schedule_of(
    ratings: CompleteRatings,
    settings: ReplaySettings,
    rng: np.random.Generator,
    turnover: int = 1,
) -> Schedule:
    """When the users come, whatever they are shown: each as often as the ratings last.

    ``turnover`` is how many ratings come on offer for each slot, 1 or more.
    """
    spare = np.diff(ratings.offsets) - settings.min_candidates
    slots = np.maximum(spare // turnover + 1, 0)
    if settings.max_slots is not None:
        slots = np.minimum(slots, settings.max_slots)
    return plan(slots, settings.nights, settings.slots_a_request, rng)


def times_of(schedule: Schedule, settings: ReplaySettings) -> NDArray[np.datetime64]:
    """Time of each request in UTC, datetime64[ms]."""
    midnight = np.datetime64(settings.first_night, "ms") + schedule.night * np.timedelta64(1, "D")
    return np.asarray(midnight + np.round(schedule.minute * 60_000).astype("timedelta64[ms]"))


def _show(
    ratings: CompleteRatings,
    schedule: Schedule,
    settings: ReplaySettings,
    logger: SoftmaxLogger,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Pools (n, pool) as rating rows or -1, their propensities, and the shown rating row (n,).

    All users step together, one request at a time; those with the most requests come first, so
    that the active ones are always a prefix.
    """
    requests = np.bincount(schedule.user, minlength=len(ratings))
    order = np.argsort(-requests, kind="stable")
    first_request = edges(requests)[:-1][order]
    first_slot = edges(schedule.slots)
    n = int(first_slot[-1])
    uniform = rng.random(n)
    weight = logger.weights(ratings.catalog)[ratings.item]
    pools = np.full((n, settings.pool), -1, np.int64)
    propensities = np.zeros((n, settings.pool))
    chosen = np.zeros(n, np.int64)
    following = ratings.offsets[:-1][order]
    end = ratings.offsets[1:][order]
    pool = np.full((len(ratings), settings.pool), -1, np.int64)
    for step in range(int(requests.max(initial=0))):
        active = int(np.searchsorted(-requests[order], -step))
        own = pool[:active]
        empty = own < 0
        fill = following[:active, None] + np.cumsum(empty, axis=1) - 1
        np.copyto(own, fill, where=empty & (fill < end[:active, None]))
        following[:active] = np.minimum(following[:active] + empty.sum(axis=1), end[:active])
        request = first_request[:active] + step
        slots = schedule.slots[request]
        for k in range(int(slots.max())):
            users = np.flatnonzero(slots > k)
            row = first_slot[request[users]] + k
            films = own[users]
            p = logger.probabilities(weight[films], films >= 0)
            column = draw(p, uniform[row])
            pools[row], propensities[row] = films, p
            chosen[row] = films[np.arange(len(users)), column]
            own[users, column] = -1
    return pools, propensities, chosen
