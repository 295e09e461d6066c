"""Complete ratings shown night by night, each night by whatever policy serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Decisions, Objective, Ragged
from mrlm.bandit_log.sessions.returns import with_returns
from mrlm.policies.contract import Policy
from mrlm.worlds.counted_rows import edges, expand
from mrlm.worlds.logger import draw
from mrlm.worlds.objectives import DEMO_OBJECTIVES, rewards_of
from mrlm.worlds.ratings import CompleteRatings
from mrlm.worlds.replayed import ReplaySettings, schedule_of, times_of
from mrlm.worlds.slot_histories import SlotHistories

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Choose = Callable[[Decisions], tuple[Floats, Ints]]
"""Of n decisions with N candidates: the propensity of each candidate, shape (N,), and which of its
own candidates each decision shows, from 0, shape (n,)."""
_Fill = Callable[["_Offer", Decisions], tuple[Floats, Ints]]


@dataclass(frozen=True)
class TasteDrift:
    """Users come to like an attribute of items more, evenly from one night to another.

    Attributes:
        attribute: of the items.
        stars: that a rating has gained in the end for each standard deviation of the attribute over
            the ratings; below 0: lost.
        first: night, from 0, up to which nothing has changed.
        last: night from which all of it has.
    """

    attribute: str = "year"
    stars: float = 0.5
    first: int = 10
    last: int = 20

    def on(self, night: int) -> float:
        """Share of the drift that has happened, in [0, 1]."""
        return float(np.clip((night - self.first) / (self.last - self.first), 0.0, 1.0))


@dataclass(frozen=True)
class ShownNight:
    """What one night showed.

    Attributes:
        log: n decisions sorted by (ts, decision_id), with true propensities, rewards final.
        truth: float64, shape (N, m), reward of every candidate if it were shown.
    """

    log: BanditLog
    truth: Floats


class LiveReplay:
    """A replayed world whose policy may be another one every night.

    Users come at the times of ``replay`` and are offered their next ratings in the same way; each
    rating is shown once at most. Where what is not shown stays on offer, nearly every rating is
    shown in the end whatever the policy, and none is better than another in the long run; with a
    larger ``turnover`` what was passed over leaves, the oldest first, and is never shown. Worlds of
    one seed have the same users at the same times and draw by the same uniform numbers, whatever
    their policies.

    Args:
        ratings: complete ratings of the population, with whatever embedding policies need.
        seed: of times and draws.
        settings: nights and slots.
        turnover: ratings that come on offer for each slot shown; 1: what is not shown stays.
        drift: of what users like; None: it stays.
        objectives: m objectives, the columns of the truth.
        history_objective: first of the histories.
        history_length: the most entries of a history.

    Attributes:
        slots: int64, shape (q,), how many slots each request shows.
    """

    def __init__(
        self,
        ratings: CompleteRatings,
        *,
        seed: int,
        settings: ReplaySettings,
        turnover: int = 1,
        drift: TasteDrift | None = None,
        objectives: tuple[Objective, ...] = DEMO_OBJECTIVES,
        history_objective: str = "relative_rating",
        history_length: int = 50,
    ) -> None:
        self.ratings, self.settings, self.drift = ratings, settings, drift
        self.turnover, self.objectives = turnover, objectives
        rng = np.random.default_rng(seed)
        schedule = schedule_of(ratings, settings, rng, turnover)
        self.request, place = expand(schedule.slots)
        self.slots = schedule.slots
        self.user, self.night = schedule.user[self.request], schedule.night[self.request]
        self.position = (place + 1).astype(np.int32)
        self.ts = times_of(schedule, settings)[self.request].astype("datetime64[us]")
        self.opens = schedule.opens[self.request]
        self.date = np.datetime64(settings.first_night, "D") + self.night
        self.session = np.cumsum(self.opens & (self.position == 1))
        self._uniform = rng.random(len(self.user))
        self._entries = SlotHistories.blank(self.ts, self.date, objectives, history_objective)
        first_of_user = np.searchsorted(self.user, self.user)
        self._first = np.searchsorted(self.request, self.request)
        self._since = np.maximum(first_of_user, self._first - history_length)
        self._pool = np.full((len(ratings), settings.pool), -1, np.int64)
        self._next = ratings.offsets[:-1].copy()
        self._shown = np.full(len(self.user), -1, np.int64)
        self._done = 0
        self._drifted = 0.0, ratings

    def __len__(self) -> int:
        """Slots of all nights."""
        return len(self.user)

    def show(self, policy: Policy) -> ShownNight:
        """The next night, its slots chosen by ``policy``.

        Raises:
            IndexError: all nights are over.
        """
        return self._night(policy.name, lambda offer, asked: self._drawn(policy, offer, asked))

    def show_chosen(self, name: str, choose: Choose) -> ShownNight:
        """The next night, its slots chosen by whoever answers, such as a server, under this name.

        ``choose`` is asked of the slots of different users together, each user's in the order of
        time: position 1 of a request, whose list then has ``self.slots[request]`` slots, and right
        after it those below.

        Raises:
            IndexError: all nights are over.
        """
        return self._night(name, lambda _, asked: choose(asked))

    def _night(self, name: str, fill: _Fill) -> ShownNight:
        if self._done >= self.settings.nights:
            raise IndexError(f"the world has {self.settings.nights} nights, and all are over")
        ratings = self._tonight(self._done)
        slots = np.flatnonzero(self.night == self._done)
        self._done += 1
        parts = [self._step(fill, ratings, step) for step in self._steps(slots)]
        return self._as_log(name, parts)

    def _tonight(self, night: int) -> CompleteRatings:
        share = 0.0 if self.drift is None else self.drift.on(night)
        if self.drift is not None and share != self._drifted[0]:
            self._drifted = share, drifted(self.ratings, self.drift, share)
        return self._drifted[1]

    def _steps(self, slots: Ints) -> list[Ints]:
        """Slots of one night that may be shown together: at most one of each user, in time."""
        user, request = self.user[slots], self.request[slots]
        visit = request - request[np.searchsorted(user, user)]
        step = visit * self.settings.slots_a_request + self.position[slots]
        return [slots[step == k] for k in np.unique(step)]

    def _step(self, fill: _Fill, ratings: CompleteRatings, slots: Ints) -> _Step:
        pool = self._offered(slots)
        code = np.where(pool >= 0, ratings.item[pool], np.iinfo(np.int32).max)
        offer = _Offer(slots, pool, np.argsort(code, axis=1, kind="stable"))
        rows = offer.films[offer.offered]
        candidates = Ragged(edges(offer.offered.sum(axis=1)), ratings.item[rows])
        decisions = self._decisions(slots, candidates)
        truth = rewards_of(
            self.objectives, decisions, {name: v[rows] for name, v in ratings.events.items()}
        )
        propensity, action = fill(offer, decisions)
        each = np.arange(len(slots))
        chosen, place = offer.films[each, action], offer.order[each, action]
        self._shown[slots] = chosen
        self._pool[self.user[slots], place] = -1
        shown = decisions.offsets[:-1] + action
        self._entries.fill(slots, ratings.item[chosen], truth[shown])
        return _Step(slots, decisions, truth, propensity, action)

    def _drawn(self, policy: Policy, offer: _Offer, decisions: Decisions) -> tuple[Floats, Ints]:
        propensity = np.exp(policy.log_probabilities(decisions))
        by_item = np.zeros(offer.films.shape)
        by_item[offer.offered] = propensity
        # Drawn in the order of the pool, as ``replay`` draws.
        by_place = np.empty_like(by_item)
        np.put_along_axis(by_place, offer.order, by_item, axis=1)
        place = draw(by_place, self._uniform[offer.slots])
        return propensity, np.argmax(offer.order == place[:, None], axis=1)

    def _offered(self, slots: Ints) -> Ints:
        """Rating rows on offer in each slot, -1 for none; a request fills its user's pool first."""
        user = self.user[slots]
        own, end = self._pool[user], self.ratings.offsets[1:][user]
        opens = (self.position[slots] == 1)[:, None]
        self._retire(user, own, opens[:, 0])
        empty = (own < 0) & opens
        fill = self._next[user][:, None] + np.cumsum(empty, axis=1) - 1
        np.copyto(own, fill, where=empty & (fill < end[:, None]))
        self._next[user] = np.minimum(self._next[user] + empty.sum(axis=1), end)
        self._pool[user] = own
        return own

    def _retire(self, user: Ints, own: Ints, opens: NDArray[np.bool_]) -> None:
        """Take the oldest off the pools of requests that open, as far as newer ones are left."""
        begun = self._next[user] > self.ratings.offsets[:-1][user]
        shown = (own < 0).sum(axis=1)
        left = self.ratings.offsets[1:][user] - self._next[user] - shown
        many = np.minimum((self.turnover - 1) * shown, left) * (opens & begun)
        # A user's ratings are in the order in which they come on offer.
        age = np.where(own >= 0, own, np.iinfo(np.int64).max)
        rank = np.argsort(np.argsort(age, axis=1, kind="stable"), axis=1)
        own[rank < many[:, None]] = -1

    def _decisions(self, slots: Ints, candidates: Ragged) -> Decisions:
        first = self._first[slots]
        lengths = slots - first
        above = np.repeat(first, lengths) + expand(lengths)[1]
        versions = self._entries.versions
        return Decisions(
            catalog=self.ratings.catalog,
            user=self.ratings.user_id[self.user[slots]],
            scene=np.where(self.opens[slots], "home", "more").astype(object),
            position=self.position[slots],
            ts=self.ts[slots],
            candidates=candidates,
            histories=self._entries.histories,
            since=self._since[slots] * versions,
            until=first * versions,
            request=self.request[slots],
            above=Ragged(edges(lengths), self.ratings.item[self._shown[above]]),
        )

    def _as_log(self, name: str, parts: list[_Step]) -> ShownNight:
        slots = np.concatenate([p.slots for p in parts])
        decisions = Decisions.concat([p.decisions for p in parts])
        truth = np.concatenate([p.truth for p in parts])
        action = np.concatenate([p.action for p in parts])
        propensity = np.concatenate([p.propensity for p in parts])
        shown, n = decisions.offsets[:-1] + action, len(slots)
        names = zip(self.request[slots].tolist(), self.position[slots].tolist(), strict=True)
        session = self.session[slots]
        many = len(self.objectives)
        log = BanditLog(
            decisions=decisions,
            decision_id=np.array([f"r{r:08d}#{k}" for r, k in names], object),
            night=self.date[slots],
            session=np.array([f"s{s}" for s in session.tolist()], object),
            session_step=(slots - np.searchsorted(self.session, session)).astype(np.int32),
            action=action,
            propensity=propensity[shown],
            candidate_propensity=propensity,
            policy_id=np.full(n, name, object),
            objectives=self.objectives,
            rewards=truth[shown],
            final=np.ones((n, many), np.bool_),
            unknown=np.zeros((n, many), np.bool_),
            lost=np.zeros((n, many), np.int64),
        )
        # The truth is ragged as the candidates are, so it goes through the same gather.
        order = np.lexsort((log.decisions.position, self.request[slots], log.decisions.ts))
        flat = Ragged(decisions.offsets, np.arange(len(truth))).take(order).values
        return ShownNight(with_returns(log.take(order)), truth[flat])


@dataclass(frozen=True)
class _Offer:
    """What some slots offer.

    Attributes:
        slots: int64, shape (n,).
        pool: int64, shape (n, places), rating rows by place, -1 for none.
        order: int64, same shape, places in the order of the candidates, empty ones last.
    """

    slots: Ints
    pool: Ints
    order: Ints

    @property
    def films(self) -> Ints:
        """Rating rows in the order of the candidates, -1 for none."""
        return np.take_along_axis(self.pool, self.order, axis=1)

    @property
    def offered(self) -> NDArray[np.bool_]:
        """Which of ``films`` are there."""
        return self.films >= 0


@dataclass(frozen=True)
class _Step:
    """Slots that were shown together; arrays as in ``ShownNight``, before they are put in order."""

    slots: Ints
    decisions: Decisions
    truth: Floats
    propensity: Floats
    action: Ints


def drifted(ratings: CompleteRatings, drift: TasteDrift, share: float) -> CompleteRatings:
    """The ratings when ``share`` of a drift has happened, with the events that follow from them."""
    value = ratings.catalog.attributes[drift.attribute][ratings.item]
    standard = np.nan_to_num((value - np.nanmean(value)) / np.nanstd(value))
    moved = ratings.rating + share * drift.stars * standard
    return CompleteRatings.build(
        ratings.user_id, ratings.offsets, ratings.item, moved, ratings.catalog
    )
