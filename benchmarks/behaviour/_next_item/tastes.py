"""The next item by what ``history`` reads of a sequence: its tastes, under a softmax of all items.

The encoder is the behaviour model's own: ``ItemFactors``, fitted without the user who is read, and
the exact posterior of a taste given the history, of all of it and of its newest entries. Its two
objectives are whether an item is met (1, beside as many items that were not, drawn at random, with
0) and its rating. What it says of a candidate and a level of each item's own are the logits of a
softmax over the catalogue, which learns from the next item beside others drawn uniformly (sampled
softmax: Bengio and Senécal, "Adaptive importance sampling to accelerate training of a neural
probabilistic language model", 2008; uniform draws need no correction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from benchmarks.behaviour._next_item.ml_100k import Sequences
from mrlm.bandit_log import Catalog, Decisions, Ragged
from mrlm.bandit_log.histories import Histories
from mrlm.behaviour.features.item_factors import ItemFactors, UserRewards, fit_item_factors
from mrlm.behaviour.features.space import FeatureSpace, HistoryScale
from mrlm.behaviour.features.taste import taste_features
from mrlm.behaviour.settings import HistorySettings

Floats = NDArray[np.float64]
MET, RATING = "met", "rating"
FOLDS = 4
# Newest entries that a taste is of: the last ones, and all.
WINDOWS = (2, 10, 1_000)
# Newest positions of a user's training part that the head learns from, and drawn items beside each.
_POSITIONS, _DRAWN = 20, 50
# Items drawn beside each that is met, for the factors.
_NOT_MET = 4
_PRECISION, _ITERATIONS = 1.0, 60
# Candidates whose features are made at once.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class NextItem:
    """A softmax over the catalogue.

    Attributes:
        encoder: what it reads.
        weight: of what the tastes say of a candidate, float64, shape (features,).
        level: of each item, float64, shape (items,).
    """

    encoder: Encoder
    weight: Floats
    level: Floats

    def scores(self, place: NDArray[np.int64]) -> Floats:
        """Logits of all items for the users of ratings, from what came before, (n, items).

        Args:
            place: of the ratings among those that the encoder reads, shape (n,).
        """
        every = np.arange(len(self.level))
        out = np.empty((len(place), len(every)))
        for rows in np.array_split(np.arange(len(place)), -(-out.size // _BLOCK)):
            candidates = np.tile(every, (len(rows), 1))
            out[rows] = self.encoder.features(place[rows], candidates) @ self.weight
        return out + self.level


@dataclass(frozen=True)
class Encoder:
    """What ``history`` reads of sequences.

    Attributes:
        known: the sequences that are read.
        space: scales of the rewards.
        factors: of each fold of users, fitted without it.
    """

    known: Sequences
    space: FeatureSpace
    factors: tuple[tuple[ItemFactors, ...], ...]

    def features(self, place: NDArray[np.int64], candidates: NDArray[np.int64]) -> Floats:
        """What tastes say of candidates, (n, candidates, features); ``place`` as in ``scores``."""
        user = self.known.user[place]
        out = np.zeros((*candidates.shape, len(WINDOWS) * 4 + 2))
        for fold in range(FOLDS):
            own = np.flatnonzero(user % FOLDS == fold)
            if len(own):
                out[own] = self._of(self.factors[fold], place[own], candidates[own])
        return out

    def _of(
        self,
        factors: tuple[ItemFactors, ...],
        place: NDArray[np.int64],
        candidates: NDArray[np.int64],
    ) -> Floats:
        catalog = _catalog(self.known.items)
        means = [m.padded(np.float64)[0][m.rows(catalog)[candidates]] for m in factors]
        first = self.known.offsets[self.known.user[place]]
        parts = [np.stack(means, axis=2)]
        for window in WINDOWS:
            since = np.maximum(first, place - window)
            asked = _decisions(self.known, catalog, since, place, candidates)
            told = taste_features(asked, self.space, factors, np.float32)
            parts.append(told.reshape(*candidates.shape, -1))
        return np.concatenate(parts, axis=2)


def fit_next_item(
    known: Sequences, told: NDArray[np.bool_], settings: HistorySettings, seed: int
) -> NextItem:
    """Learn from the ratings of ``known`` at which ``told`` is true, shape (n,)."""
    rng = np.random.default_rng(seed)
    train = known.where(told)
    space = _space(train)
    by_fold = [train.where(train.user % FOLDS != fold) for fold in range(FOLDS)]
    factors = tuple(_factors(part, space, settings, seed, rng) for part in by_fold)
    encoder = Encoder(known, space, factors)
    place = np.flatnonzero(told)[train.from_end < _POSITIONS]
    place = place[place > known.offsets[known.user[place]]]
    drawn = _not_met(train, np.repeat(known.user[place], _DRAWN), rng).reshape(-1, _DRAWN)
    candidates = np.concatenate([known.item[place][:, None], drawn], axis=1)
    rows = np.array_split(np.arange(len(place)), -(-candidates.size // _BLOCK))
    read = np.concatenate([encoder.features(place[r], candidates[r]) for r in rows])
    return NextItem(encoder, *_head(read, candidates, known.items))


def _head(read: Floats, candidates: NDArray[np.int64], items: int) -> tuple[Floats, Floats]:
    """Weights and levels under which the first of each row's candidates is likeliest."""
    scale = np.maximum(read.std(axis=(0, 1)), 1e-6)
    x, features = read / scale, read.shape[2]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weight, level = parameters[:features], parameters[features:]
        logits = x @ weight + level[candidates]
        total = logsumexp(logits, axis=1)
        off = np.exp(logits - total[:, None])
        off[:, 0] -= 1
        slope = [
            np.einsum("nc,ncf->f", off, x),
            np.bincount(candidates.ravel(), off.ravel(), items),
        ]
        gradient = np.concatenate(slope) + _PRECISION * parameters
        square = _PRECISION / 2 * float(parameters @ parameters)
        return float((total - logits[:, 0]).sum()) + square, gradient

    start = np.zeros(features + items)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS}).x
    return found[:features] / scale, found[features:]


def _factors(
    part: Sequences,
    space: FeatureSpace,
    settings: HistorySettings,
    seed: int,
    rng: np.random.Generator,
) -> tuple[ItemFactors, ...]:
    met, rating = space.history
    beside = np.repeat(part.user, _NOT_MET)
    user, item = np.append(part.user, beside), np.append(part.item, _not_met(part, beside, rng))
    was = np.append(np.ones(len(part.user)), np.zeros(len(beside)))
    catalog = _catalog(part.items)
    rows = (
        (MET, user, item, np.asarray(met.of(was))),
        (RATING, part.user, part.item, np.asarray(rating.of(part.rating))),
    )
    return tuple(
        fit_item_factors(
            name, catalog, [UserRewards(of, codes.astype(np.int32), reward)], settings, seed
        )
        for name, of, codes, reward in rows
    )


def _space(train: Sequences) -> FeatureSpace:
    share = 1 / (1 + _NOT_MET)
    met = HistoryScale(MET, share, float(np.sqrt(share * (1 - share))))
    rating = HistoryScale(RATING, float(train.rating.mean()), float(train.rating.std()))
    none = np.zeros(0, np.float32)
    return FeatureSpace(none, none.reshape(0, 0), (), none, (), (), (met, rating))


def _not_met(
    part: Sequences, user: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """An item for each of these users, none that the user met in ``part``."""
    out = rng.integers(0, part.items, len(user))
    while True:
        again = part.met(user, out)
        if not again.any():
            return out
        out[again] = rng.integers(0, part.items, int(again.sum()))


def _catalog(items: int) -> Catalog:
    none = np.full(items, "", object)
    empty = Ragged(np.zeros(items + 1, np.int64), np.zeros(0, np.int32))
    names = np.array([f"{i:06d}" for i in range(items)], object)
    return Catalog(names, none, empty, np.zeros(0, object), none, {})


def _decisions(
    known: Sequences,
    catalog: Catalog,
    since: NDArray[np.int64],
    until: NDArray[np.int64],
    candidates: NDArray[np.int64],
) -> Decisions:
    n, many = candidates.shape
    entries = Ragged(known.offsets, known.item.astype(np.int32))
    rewards = np.stack([np.ones(len(known.item)), known.rating], axis=1).astype(np.float32)
    return Decisions(
        catalog=catalog,
        user=known.user[until].astype(str).astype(object),
        scene=np.full(n, "", object),
        position=np.ones(n, np.int32),
        ts=np.full(n, np.datetime64("1998-05-01", "us")),
        candidates=Ragged(np.arange(n + 1) * many, candidates.ravel().astype(np.int32)),
        histories=Histories.of_lists(entries, rewards, (MET, RATING)),
        since=since,
        until=until,
        request=np.arange(n),
        above=Ragged(np.zeros(n + 1, np.int64), np.zeros(0, np.int32)),
    )
