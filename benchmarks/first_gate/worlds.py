"""Three worlds whose logger and rewards are known, unlike each other and the demonstration.

A world draws everything from its seed. ``log`` gives what a company would have, ``truth`` what only
the world knows: the logger's probabilities and the expected reward of every candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Histories, Objective, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.ragged import segment_log_softmax

Floats = NDArray[np.float64]
CLICK = Objective(name="click", source="feedback", role="north_star", event="click")
_FIRST = np.datetime64("2026-03-01", "D")


@dataclass(frozen=True)
class Drawn:
    """A log and what is true of it.

    Attributes:
        log: n decisions, with what the world's logger writes.
        logger: float64, shape (N,), the probabilities of whoever is in use: of the loggers of the
            decision's night, at their shares.
        reward: float64, shape (N,), expected north star of every candidate.
    """

    log: BanditLog
    logger: Floats
    reward: Floats


@dataclass(frozen=True)
class Step:
    """One step of every user at once: n decisions with N candidates.

    Attributes:
        offsets: int64, shape (n + 1,).
        items: int64, shape (N,), codes.
        row: int64, shape (N,).
        profile: float64, shape (n, width), sum of value times vector over the user's history.
        seen: float64, shape (n,), length of the history.
        scene: int64, shape (n,), 0 or 1.
        position: int64, shape (n,), from 1.
        night: int.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int64]
    row: NDArray[np.int64]
    profile: Floats
    seen: Floats
    scene: NDArray[np.int64]
    position: NDArray[np.int64]
    night: int


@dataclass(frozen=True)
class World:
    """What a world is made of; users are drawn by ``draw``.

    Attributes:
        catalog: the items, with embedding.
        taste: (user vectors (n, w), step) to the expected reward of every candidate, shape (N,).
        user_width: w.
        loggers: policy_id to (step) to the probabilities of every candidate.
        shares: night to the share of each logger.
        sizes: least and most candidates.
        slots: slots of a request.
        whole: whether the log has the probabilities of all candidates.
        nights: of a log.
        requests: of a user on a night.
    """

    catalog: Catalog
    taste: Callable[[Floats, Step], Floats]
    user_width: int
    loggers: dict[str, Callable[[Step], Floats]]
    shares: Callable[[int], dict[str, float]]
    sizes: tuple[int, int]
    slots: int
    whole: bool
    nights: int
    requests: int

    def draw(self, users: int, seed: int, nights: tuple[int, ...] | None = None) -> Drawn:
        """A log of new users, on all nights or the given ones."""
        rng = np.random.default_rng(seed)
        vector = rng.normal(size=(users, self.user_width))
        names = list(self.loggers)
        steps: list[dict[str, NDArray[np.generic]]] = []
        embedding = self.catalog.embedding
        assert embedding is not None
        profile = np.zeros((users, embedding.shape[1]))
        history: list[tuple[NDArray[np.int64], Floats]] = []
        for night in nights or tuple(range(self.nights)):
            shares = self.shares(night)
            # A user stays with one logger for a night, as in an A/B test.
            weights = np.array([shares.get(n, 0.0) for n in names])
            of = rng.choice(len(names), users, p=weights)
            for request in range(self.requests):
                scene = rng.integers(0, 2, users)
                lengths = rng.integers(self.sizes[0], self.sizes[1] + 1, users)
                offsets = np.concatenate([[0], np.cumsum(lengths)])
                items = _distinct(lengths, len(self.catalog), rng)
                before = (profile.copy(), [*history])
                for slot in range(self.slots):
                    row = np.repeat(np.arange(users), np.diff(offsets))
                    step = Step(
                        offsets=offsets,
                        items=items,
                        row=row,
                        profile=before[0],
                        seen=np.full(users, float(len(before[1]))),
                        scene=scene,
                        position=np.full(users, slot + 1),
                        night=night,
                    )
                    each = [self.loggers[n](step) for n in names]
                    p = np.choose(of[row], each)
                    shown = _draw(p, offsets, rng)
                    reward = self.taste(vector, step)
                    value = (rng.random(users) < reward[shown]).astype(np.float64)
                    steps.append(
                        {
                            "offsets": offsets,
                            "items": items,
                            "p": p,
                            "mixture": np.tensordot(weights, np.stack(each), 1),
                            "reward": reward,
                            "shown": shown,
                            "value": value,
                            "scene": scene,
                            "position": step.position,
                            "night": np.full(users, night),
                            "request": np.full(users, request),
                            "logger": of,
                            "history": np.full(users, len(before[1])),
                        }
                    )
                    chosen = items[shown]
                    history.append((chosen, value))
                    profile = profile + value[:, None] * embedding[chosen]
                    keep = np.ones(len(items), np.bool_)
                    keep[shown] = False
                    items, offsets = items[keep], offsets - np.arange(users + 1)
        return _assemble(self, names, steps, history, users)


def _assemble(
    world: World,
    names: list[str],
    steps: list[dict[str, NDArray[np.generic]]],
    history: list[tuple[NDArray[np.int64], Floats]],
    users: int,
) -> Drawn:
    slots = world.slots
    lengths = np.concatenate([np.diff(s["offsets"]) for s in steps])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    shown_items = np.stack([h[0] for h in history])
    values = np.stack([h[1] for h in history])
    n_steps = len(steps)
    user = np.tile(np.arange(users), n_steps)
    step = np.repeat(np.arange(n_steps), users)
    seen = np.concatenate([s["history"] for s in steps]).astype(np.int64)
    past = np.concatenate([[0], np.cumsum(seen)])
    owner = np.repeat(np.arange(len(user)), seen)
    back = np.arange(past[-1]) - past[:-1][owner]
    above_n = step % slots
    above_edges = np.concatenate([[0], np.cumsum(above_n)])
    above_owner = np.repeat(np.arange(len(user)), above_n)
    above_step = step[above_owner] - step[above_owner] % slots
    above_step = above_step + np.arange(above_edges[-1]) - above_edges[:-1][above_owner]
    night = np.concatenate([s["night"] for s in steps])
    p = np.concatenate([s["p"] for s in steps]).astype(np.float64)
    shown = (s["shown"].astype(np.int64) - s["offsets"][:-1].astype(np.int64) for s in steps)
    action = np.concatenate(list(shown))
    flat = offsets[:-1] + action
    n = len(user)
    decisions = Decisions(
        catalog=world.catalog,
        user=np.array([f"u{u:05d}" for u in range(users)], object)[user],
        scene=np.array(["home", "search"], object)[np.concatenate([s["scene"] for s in steps])],
        position=np.concatenate([s["position"] for s in steps]).astype(np.int32),
        ts=(_FIRST + night).astype("datetime64[us]") + step.astype("timedelta64[s]"),
        candidates=Ragged(offsets, np.concatenate([s["items"] for s in steps]).astype(np.int32)),
        histories=Histories.of_lists(
            Ragged(past, shown_items[back, user[owner]].astype(np.int32)),
            values[back, user[owner]].astype(np.float32),
        ),
        since=past[:-1],
        until=past[1:],
        request=np.arange(n),
        above=Ragged(above_edges, shown_items[above_step, user[above_owner]].astype(np.int32)),
    )
    log = BanditLog(
        decisions=decisions,
        decision_id=np.array([f"d{i:07d}#1" for i in range(n)], object),
        night=_FIRST + night,
        session=np.array([f"s{i}" for i in range(n)], object),
        session_step=np.zeros(n, np.int32),
        action=action,
        propensity=p[flat],
        candidate_propensity=p if world.whole else np.full(len(p), np.nan),
        policy_id=np.array(names, object)[np.concatenate([s["logger"] for s in steps])],
        objectives=(CLICK,),
        rewards=np.concatenate([s["value"] for s in steps]).astype(np.float64)[:, None],
        final=np.ones((n, 1), np.bool_),
        unknown=np.zeros((n, 1), np.bool_),
        lost=np.zeros((n, 1), np.int64),
    )
    mixture, reward = (
        np.concatenate([s[k] for s in steps]).astype(np.float64) for k in ("mixture", "reward")
    )
    return Drawn(log, mixture, reward)


def contextual(seed: int) -> World:
    """Latent factors; an epsilon-softmax over the user's history, warmer on the search page.

    The logger's item scores are its own: no attribute holds them.
    """
    rng = np.random.default_rng([seed, 1])
    items, width = 300, 8
    vector = rng.normal(size=(items, width))
    quality = rng.normal(size=items)
    score = 0.6 * quality + 0.4 * rng.normal(size=items)
    catalog = _catalog(
        rng, items, {"price": np.exp(rng.normal(size=items))}, categories=6
    ).with_embedding(vector.astype(np.float32))

    def taste(users: Floats, s: Step) -> Floats:
        match = (users[s.row] * vector[s.items]).sum(1) / width**0.5
        return expit(-1.4 + 1.2 * match + 0.6 * quality[s.items])

    def logger(s: Step) -> Floats:
        mean = s.profile / (s.seen + 3.0)[:, None]
        affinity = (mean[s.row] * vector[s.items]).sum(1)
        warmth = np.where(s.scene == 0, 1.0, 1.8)[s.row]
        return _epsilon_softmax(warmth * (1.5 * np.tanh(affinity) + 0.9 * score[s.items]), s, 0.1)

    return World(
        catalog=catalog,
        taste=taste,
        user_width=width,
        loggers={"eps-softmax": logger},
        shares=lambda night: {"eps-softmax": 1.0},
        sizes=(20, 20),
        slots=1,
        whole=True,
        nights=6,
        requests=3,
    )


def changing(seed: int) -> World:
    """Kinds of items; Thompson-like item scores that change every night, beside a fixed rule.

    A third policy wrote the first nights and is in use no more. The Thompson policy's probability
    is known by simulation, as is usual, and every night's has posteriors of its own.
    """
    rng = np.random.default_rng([seed, 2])
    items, kinds, nights = 150, 10, 6
    kind = rng.integers(0, kinds, items)
    vector = np.eye(kinds)[kind]
    good = 0.8 * rng.normal(size=items)
    catalog = _catalog(rng, items, {}, categories=kinds, category=kind).with_embedding(
        (vector + 0.1 * rng.normal(size=vector.shape)).astype(np.float32)
    )
    # The posterior narrows as nights go by.
    drawn = [good + 1.2 * rng.normal(size=items) / (1.0 + t) for t in range(nights + 1)]

    def taste(users: Floats, s: Step) -> Floats:
        return expit(-1.2 + 0.7 * users[s.row, kind[s.items]] + good[s.items])

    def thompson(s: Step) -> Floats:
        return _epsilon_softmax(2.0 * drawn[s.night][s.items], s, 0.02)

    def rule(s: Step) -> Floats:
        liked = s.profile / (s.seen + 2.0)[:, None]
        return _epsilon_softmax(4.0 * liked[s.row, kind[s.items]], s, 0.2)

    def retired(s: Step) -> Floats:
        return _epsilon_softmax(np.zeros(len(s.items)), s, 0.5)

    def shares(night: int) -> dict[str, float]:
        if night < 2:
            return {"thompson": 0.3, "first": 0.7}
        return {"thompson": 0.7, "rule": 0.3}

    return World(
        catalog=catalog,
        taste=taste,
        user_width=kinds,
        loggers={"thompson": thompson, "rule": rule, "first": retired},
        shares=shares,
        sizes=(12, 18),
        slots=1,
        whole=True,
        nights=nights,
        requests=3,
    )


def foreign(seed: int) -> World:
    """A foreign log: the shown item's propensity alone, sets of 4 to 40, popularity by position.

    Four slots a request; the logger is sharper at the top of the list, and people look there more.
    A tenth of the items comes into the catalogue after the log: they are in nobody's fit.
    """
    rng = np.random.default_rng([seed, 3])
    items, width = 800, 5
    popularity = np.ceil(np.exp(2.5 + 1.3 * rng.normal(size=items)))
    fresh = rng.random(items)
    vector = rng.normal(size=(items, width))
    catalog = _catalog(
        rng, items, {"popularity": popularity, "freshness": fresh}, categories=12
    ).with_embedding(vector.astype(np.float32))
    heat = (np.log(popularity) - 2.5) / 1.3
    hidden = 0.5 * rng.normal(size=items)

    def taste(users: Floats, s: Step) -> Floats:
        look = np.array([1.0, 0.75, 0.6, 0.5])[s.position - 1][s.row]
        match = (users[s.row] * vector[s.items]).sum(1) / width**0.5
        return look * expit(-1.6 + 0.6 * heat[s.items] + hidden[s.items] + 0.5 * match)

    def logger(s: Step) -> Floats:
        sharp = np.array([1.6, 1.2, 0.9, 0.7])[s.position - 1][s.row]
        boost = np.where(s.scene == 0, 0.8, 0.0)[s.row]
        logit = sharp * heat[s.items] + hidden[s.items] + boost * fresh[s.items]
        return _epsilon_softmax(logit, s, 0.05)

    return World(
        catalog=catalog,
        taste=taste,
        user_width=width,
        loggers={"": logger},
        shares=lambda night: {"": 1.0},
        sizes=(8, 40),
        slots=4,
        whole=False,
        nights=5,
        requests=1,
    )


WORLDS: dict[str, Callable[[int], World]] = {
    "contextual": contextual,
    "changing": changing,
    "foreign": foreign,
}


def _epsilon_softmax(logit: Floats, step: Step, epsilon: float) -> Floats:
    lengths = np.diff(step.offsets)
    soft = np.exp(segment_log_softmax(logit, step.offsets))
    return (1.0 - epsilon) * soft + epsilon * np.repeat(1.0 / lengths, lengths)


def _catalog(
    rng: np.random.Generator,
    items: int,
    attributes: dict[str, Floats],
    categories: int,
    category: NDArray[np.int64] | None = None,
) -> Catalog:
    kind = rng.integers(0, categories, items) if category is None else category
    rows = [
        {
            "item_id": f"i{i:05d}",
            "text": f"item {i}",
            "categories": [f"kind {kind[i]:02d}"],
            "provider": f"p{i % 7}",
            "attributes": [(k, float(v[i])) for k, v in attributes.items()],
        }
        for i in range(items)
    ]
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))


def _distinct(
    lengths: NDArray[np.int64], items: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Distinct item codes for every row, ascending, flat."""
    most = int(lengths.max())
    keys = rng.random((len(lengths), items))
    first = np.argpartition(keys, most - 1, axis=1)[:, :most]
    kept = np.arange(most) < lengths[:, None]
    return np.concatenate([np.sort(r[k]) for r, k in zip(first, kept, strict=True)])


def _draw(p: Floats, offsets: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Flat place of one candidate a row, by the Gumbel-max trick."""
    noisy = np.log(p) + rng.gumbel(size=len(p))
    highest = np.maximum.reduceat(noisy, offsets[:-1])
    best = np.flatnonzero(noisy == np.repeat(highest, np.diff(offsets)))
    return best[np.searchsorted(best, offsets[:-1])]
