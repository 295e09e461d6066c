"""A site whose nights vary as those of real sites do, and losses of its clicks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Histories, Objective, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.log_checks.delivery import Delivery
from mrlm.log_checks.losses import NightEvents

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
ITEMS, CANDIDATES, POOL = 200, 8, 2_000
SLOTS, USERS = 20_000, 4_000
CLICK = Objective("click", "feedback", "north_star", event="click", missing=0.0)
# Of the events that no reward rests on, by which a quieter night is told from a loss.
OTHERS = (0.05, 0.4)
Whole = Delivery("click", "whole")


@dataclass(frozen=True)
class Night:
    """The slots of one night.

    Attributes:
        pool: shape (n,), the candidate set of each slot.
        place: shape (n,), of the shown candidate.
        item: shape (n,), the shown item.
        user: shape (n,).
        hour: shape (n,), 0 to 23.
        click: bool, shape (n,).
        others: bool, shape (events, n).
        rate: shape (ITEMS,), mean click of an item this night.
    """

    pool: NDArray[np.int64]
    place: NDArray[np.int64]
    item: NDArray[np.int64]
    user: NDArray[np.int64]
    hour: NDArray[np.int64]
    click: Flags
    others: Flags
    rate: Floats

    def events(self, came: Flags | None = None) -> list[NightEvents]:
        """What arrived of each event; ``came`` are the clicks that did."""
        shows = np.bincount(self.item, minlength=ITEMS)
        return [
            NightEvents(
                len(self.item),
                int(hit.sum()),
                np.bincount(self.hour[hit], minlength=24).astype(float),
                shows,
                np.bincount(self.item[hit], minlength=ITEMS),
            )
            for hit in (self.click if came is None else came, *self.others)
        ]


class Site:
    """Candidate sets, a logger, a challenger, and nights.

    Rates of a night move together by 5 % and each event's by 3 %, those of an item by 15 %, an
    hour's share by 10 %, the number of slots by 10 %; users click .4 to 1.6 times as often as the
    mean. Slots of one user are alike, so intervals have to be clustered.
    """

    def __init__(self, seed: int) -> None:
        g = self._g = np.random.default_rng([seed, 0])
        popularity = g.dirichlet(np.full(ITEMS, 0.5))
        keys = np.log(popularity + 1e-9) + g.gumbel(size=(POOL, ITEMS))
        self._pool = np.argsort(-keys, axis=1)[:, :CANDIDATES]
        self._rates = [r * np.exp(g.normal(0, 0.5, ITEMS)) for r in (0.12, *OTHERS)]
        self._liked = g.uniform(0.4, 1.6, USERS)
        self._profile = np.exp(1.2 * np.sin(np.arange(24) / 12 * np.pi))
        score = g.normal(0, 0.7, ITEMS)
        self._logger = _softmax(score[self._pool])
        # It knows the rates by half, as a learner would.
        guess = np.log(self._rates[0]) + g.normal(0, 0.5, ITEMS)
        self._guess = np.exp(guess)
        self._target = 0.9 * _softmax(1.5 * guess[self._pool]) + 0.1 / CANDIDATES

    def night(self) -> Night:
        """One night's slots and events."""
        g = self._g
        n = int(SLOTS * np.exp(g.normal(0, 0.1)))
        pool, user = g.integers(0, POOL, n), g.integers(0, USERS, n)
        place = (self._logger[pool].cumsum(1) < g.random((n, 1))).sum(1)
        item = self._pool[pool, place]
        common = g.normal(0, 0.05)
        rates = [
            np.clip(r * np.exp(common + g.normal(0, 0.03) + g.normal(0, 0.15, ITEMS)), 0, 0.6)
            for r in self._rates
        ]
        profile = self._profile * np.exp(g.normal(0, 0.1, 24))
        hour = g.choice(24, n, p=profile / profile.sum())
        hits = np.array([g.random(n) < r[item] * self._liked[user] for r in rates])
        return Night(pool, place, item, user, hour, hits[0], hits[1:], rates[0])

    def truth(self, nights: list[Night]) -> float:
        """The challenger's true click rate, the mean over the slots of the nights."""
        by_night = [(self._target * n.rate[self._pool]).sum(1).mean() for n in nights]
        slots = [len(n.item) for n in nights]
        return float(np.average(by_night, weights=slots) * self._liked.mean())

    def log(self, nights: list[Night], came: Flags, newest: Delivery) -> BanditLog:
        """The log of the nights, given what came of the newest one's clicks.

        Where its delivery is unknown all its rewards are.
        """
        click = np.concatenate([*[n.click for n in nights[:-1]], came])
        sizes = [len(n.item) for n in nights]
        n = sum(sizes)
        last = np.repeat(np.arange(len(nights)) == len(nights) - 1, sizes)
        unknown = last & (newest.state == "unknown")
        pool, place = (np.concatenate([getattr(x, k) for x in nights]) for k in ("pool", "place"))
        logger = self._logger[pool]
        day = np.datetime64("2026-11-19") + np.repeat(np.arange(len(nights)), sizes)
        names = np.array([f"r{i}" for i in range(n)], object)
        step = np.arange(n + 1, dtype=np.int64)
        zeros = np.zeros(n, np.int64)
        user = np.concatenate([x.user for x in nights])
        decisions = Decisions(
            catalog=_catalog(),
            user=np.array([f"u{u}" for u in range(USERS)], object)[user],
            scene=np.full(n, "home", object),
            position=np.ones(n, np.int32),
            ts=day.astype("datetime64[us]"),
            candidates=Ragged(step * CANDIDATES, self._pool[pool].ravel().astype(np.int32)),
            histories=Histories.none(),
            since=zeros,
            until=zeros,
            request=step[:-1],
            above=Ragged(step * 0, np.zeros(0, np.int32)),
        )
        return BanditLog(
            decisions=decisions,
            decision_id=names,
            night=day.astype("datetime64[D]"),
            session=names,
            session_step=np.zeros(n, np.int32),
            action=place,
            propensity=logger[np.arange(n), place],
            candidate_propensity=logger.ravel(),
            policy_id=np.full(n, "logger", object),
            objectives=(CLICK,),
            rewards=np.where(unknown & ~click, np.nan, click)[:, None],
            final=~unknown[:, None],
            unknown=unknown[:, None],
            lost=np.where(last, newest.lost, 0)[:, None],
        )

    def target(self, log: BanditLog) -> Floats:
        """The challenger's probability of every candidate."""
        return self._of_slots(self._target, log)

    def predicted(self, log: BanditLog) -> Floats:
        """What a reward model expects of every candidate: close to its rate, and not equal."""
        return self._guess[log.decisions.candidates.values][:, None]

    def _of_slots(self, of_pool: Floats, log: BanditLog) -> Floats:
        key = self._pool.astype(np.int32)
        known = {row.tobytes(): i for i, row in enumerate(key)}
        rows = log.decisions.candidates.values.reshape(-1, CANDIDATES)
        return of_pool[[known[row.tobytes()] for row in rows]].ravel()


Lose = Callable[[Night, np.random.Generator], Flags]


def _at_random(share: float) -> Lose:
    return lambda night, g: night.click & (g.random(len(night.click)) >= share)


def _hours(number: int) -> Lose:
    """Hours of the busier half of the day: at night an hour has too few events to be missed."""

    def lose(night: Night, g: np.random.Generator) -> Flags:
        return night.click & ~np.isin(night.hour, g.choice(12, number, replace=False))

    return lose


def _items(share: float) -> Lose:
    return lambda night, g: night.click & ~(g.random(ITEMS) < share)[night.item]


LOSSES: dict[str, Lose] = {
    "nothing": _at_random(0.0),
    "5 % at random": _at_random(0.05),
    "10 % at random": _at_random(0.1),
    "25 % at random": _at_random(0.25),
    "40 % at random": _at_random(0.4),
    "two hours": _hours(2),
    "six hours": _hours(6),
    "a quarter of the items": _items(0.25),
}


def _softmax(score: Floats) -> Floats:
    weight = np.exp(score - score.max(1, keepdims=True))
    out: Floats = weight / weight.sum(1, keepdims=True)
    return out


def _catalog() -> Catalog:
    rows = [{"item_id": f"i{c:03d}", "text": f"item {c}"} for c in range(ITEMS)]
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))
