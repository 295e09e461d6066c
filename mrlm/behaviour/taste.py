"""What a user's history says of candidates by what other users thought of the same items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mrlm.bandit_log import Catalog, Decisions
from mrlm.bandit_log.distinct_pairs import distinct_pairs
from mrlm.behaviour.item_factors import ItemFactors, products, symmetric, upper
from mrlm.behaviour.space import FeatureSpace

Floats = NDArray[np.floating]
# Entries of the largest array of a group of states: 2**21 float64 are 16 MiB.
_BLOCK = 1 << 21
# What is said of a candidate under each factor model: mean and standard deviation.
PER_MODEL = 2


def taste_features(
    decisions: Decisions,
    space: FeatureSpace,
    models: Sequence[ItemFactors],
    precision: type[np.floating] = np.float32,
) -> Floats:
    """Mean and standard deviation of loading · taste given the history, (N, 2 a model).

    The taste of a decision's user is normal; what the decision looks back on is a linear regression
    on the loadings of the entries, so its posterior is exact: covariance
    noise · (sum v v' + noise · I)^-1 over the entries with a known reward. It is computed once for
    all candidates of a request. A candidate whose item has no loading gets 0 and 0.

    Source: Bishop, Pattern recognition and machine learning, 2006, section 3.3; read as attention,
    the candidate's loading is the query, those of the entries are the keys.

    Args:
        decisions: states and candidates, N in all.
        space: how rewards of the history are scaled.
        models: of any objectives of the space, all of one width.
        precision: as for ``pair_features``.
    """
    if not models:
        return np.zeros((len(decisions.candidates.values), 0), precision)
    pairs = distinct_pairs(decisions)
    return tastes_of(pairs.states, space, models, precision)[pairs.pair]


def tastes_of(
    states: Decisions,
    space: FeatureSpace,
    models: Sequence[ItemFactors],
    precision: type[np.floating] = np.float32,
) -> Floats:
    """``taste_features`` of the distinct states of ``distinct_pairs``, (P, 2 a model)."""
    out = np.zeros((len(states.candidates.values), PER_MODEL * len(models)), precision)
    if not models:
        return out
    codes = states.candidates.values
    keys = _Keys.of(states, space, models, precision)
    for group in _groups(states, len(models) * models[0].loading.shape[1]):
        posterior = keys.posterior(group, group.seen(states))
        found = posterior.of(_loadings(models, states.catalog, codes[group.padded], precision))
        out[group.flat] = found[group.mask]
    return out


def taste_of(
    state: Decisions,
    space: FeatureSpace,
    models: Sequence[ItemFactors],
    precision: type[np.floating] = np.float32,
) -> Posterior:
    """What is known of the tastes of one state, for whatever is offered: see ``taste_features``."""
    if not models:
        return Posterior(np.zeros((1, 0, 1), precision), np.zeros((1, 0, 1, 1), precision))
    (group,) = _groups(state, 1)
    keys = _Keys.of(state, space, models, precision)
    return keys.posterior(group, group.seen(state))


def tastes_for(
    posterior: Posterior, models: Sequence[ItemFactors], catalog: Catalog, codes: NDArray[np.int32]
) -> Floats:
    """``taste_features`` of candidates in the state of ``taste_of``, (candidates, 2 a model)."""
    precision = posterior.mean.dtype.type
    if not models:
        return np.zeros((len(codes), 0), precision)
    found: Floats = posterior.of(_loadings(models, catalog, codes[None], precision))[0]
    return found


def _loadings(
    models: Sequence[ItemFactors],
    catalog: Catalog,
    codes: NDArray[np.integer],
    precision: type[np.floating],
) -> Floats:
    """Of items under each model, (models, ..., factors)."""
    return np.stack([m.padded(precision)[1][m.rows(catalog)[codes]] for m in models])


@dataclass(frozen=True)
class Posterior:
    """What is known of the tastes of s states under each factor model.

    Attributes:
        mean: shape (s, models, factors).
        covariance: shape (s, models, factors, factors).
    """

    mean: Floats
    covariance: Floats

    def of(self, loadings: Floats) -> Floats:
        """Mean and standard deviation of loading · taste, (s, r, 2 a model).

        Args:
            loadings: of r candidates of each state, (models, s, r, factors).
        """
        query = loadings.transpose(1, 0, 2, 3)
        mean = (query @ self.mean[..., None])[..., 0]
        variance = ((query @ self.covariance) * query).sum(axis=3)
        found = np.stack([mean, np.sqrt(np.maximum(variance, 0.0))], axis=3)
        states, models, candidates = mean.shape
        return found.transpose(0, 2, 1, 3).reshape(states, candidates, PER_MODEL * models)


@dataclass(frozen=True)
class _Keys:
    """Factor models, and rewards less the items' means of the entries that are looked back on.

    Decisions of one block share the histories of a whole log, and look back on a part of them.

    Attributes:
        start: the first entry that is read; the rows below count from it.
        models: give the loadings.
        catalog: gives the items.
        item: int32, of the entries that are read, e of them.
        residual: shape (e, models); NaN where unknown.
        noise: shape (models, 1, 1).
    """

    start: int
    models: Sequence[ItemFactors]
    catalog: Catalog
    item: NDArray[np.int32]
    residual: Floats
    noise: Floats

    @classmethod
    def of(
        cls,
        states: Decisions,
        space: FeatureSpace,
        models: Sequence[ItemFactors],
        precision: type[np.floating],
    ) -> _Keys:
        start = int(states.since.min(initial=len(states.histories)))
        place = np.arange(start, max(int(states.until.max(initial=0)), start))
        item = states.histories.item[place]
        rewards = space.scaled_rewards(states.histories, place).astype(np.float64)
        names = [h.objective for h in space.history]
        residual = [
            rewards[:, names.index(m.objective)]
            - m.padded(np.float64)[0][m.rows(states.catalog)[item]]
            for m in models
        ]
        return cls(
            start=start,
            models=models,
            catalog=states.catalog,
            item=item,
            residual=np.stack(residual, axis=1).astype(precision),
            noise=np.array([m.noise for m in models], precision)[:, None, None],
        )

    def posterior(self, group: _Group, seen: NDArray[np.bool_]) -> Posterior:
        """What the entries that each state of the group sees tell of its tastes."""
        precision = self.residual.dtype.type
        read = slice(group.first - self.start, group.last - self.start)
        residual = self.residual[read, :, None]
        known = np.isfinite(residual)
        key = _loadings(self.models, self.catalog, self.item[read], precision).swapaxes(0, 1)
        d, entries = key.shape[2], [key * known, np.where(known, residual, precision(0.0))]
        sums = _sums(seen, np.concatenate(entries, axis=2))
        gram = symmetric(sums[..., :-d], d)
        inverse = np.linalg.inv(gram + self.noise * np.eye(d, dtype=precision))
        mean = (inverse @ sums[..., -d:, None])[..., 0]
        return Posterior(mean, self.noise * inverse)


def _sums(seen: NDArray[np.bool_], entries: Floats) -> Floats:
    """Sums over the entries that each state sees of what its posterior needs.

    The next state of a user sees a few entries more: only what changed is added.

    Args:
        seen: whether a state sees an entry, (s, e).
        entries: loading and then residual, 0 where unknown, (e, models, d + 1).

    Returns:
        Products of every two entries of the loadings, then of loading and residual, each as
        ``products`` orders them: (s, models, d · (d + 1) / 2 + d).
    """
    own = entries[seen[0]].swapaxes(0, 1)
    first = own[..., :-1].swapaxes(1, 2) @ own
    d = first.shape[1]
    start = np.concatenate([upper(first[..., :-1]), first[..., -1]], axis=1)
    if len(seen) == 1:
        return start[None]
    change = np.diff(seen.astype(np.int8), axis=0)
    moved = np.flatnonzero(change.any(axis=0))
    part = entries[moved]
    columns = np.concatenate([products(part[..., :d]), part[..., :d] * part[..., d:]], axis=2)
    flat = columns.reshape(len(moved), start.size)
    sums = np.empty((len(seen), start.size), start.dtype)
    sums[0] = start.ravel()
    sums[1:] = sparse.csr_array(change[:, moved].astype(part.dtype)) @ flat
    return np.cumsum(sums, axis=0, out=sums).reshape(-1, *start.shape)


@dataclass(frozen=True)
class _Group:
    """States that look back on the same entries, and their candidates.

    Attributes:
        since, until, ts, request: of the states, each of shape (s,).
        flat: places of the candidates, state by state.
        padded: the same padded to the longest, (s, r); pads point at place 0.
        mask: which are no pads, (s, r).
    """

    since: NDArray[np.int64]
    until: NDArray[np.int64]
    ts: NDArray[np.datetime64]
    request: NDArray[np.int64]
    flat: NDArray[np.int64]
    padded: NDArray[np.int64]
    mask: NDArray[np.bool_]

    @property
    def first(self) -> int:
        return int(self.since.min())

    @property
    def last(self) -> int:
        return max(int(self.until.max()), self.first)

    def seen(self, decisions: Decisions) -> NDArray[np.bool_]:
        """Whether a state sees an entry from ``first`` to ``last``, (s, entries)."""
        entries, place = decisions.histories, np.arange(self.first, self.last)
        part, moment = slice(self.first, self.last), self.ts[:, None]
        seen = (entries.known_from[part] < moment) & (moment <= entries.known_until[part])
        seen &= entries.request[part] != self.request[:, None]
        seen &= (self.since[:, None] <= place) & (place < self.until[:, None])
        return seen


def _groups(states: Decisions, factors: int) -> Iterator[_Group]:
    """All states, those together whose entries overlap, as many as memory allows.

    Args:
        states: by the first entry of each.
        factors: of all models together.
    """
    many, offsets, lengths = len(states), states.offsets, states.candidates.lengths
    if many == 0:
        return
    apart = np.ones(many, np.bool_)
    apart[1:] = states.since[1:] >= np.maximum.accumulate(states.until)[:-1]
    most = max(1, _BLOCK // (factors * (factors + int(lengths.max()))))
    for start, stop in _spans(np.flatnonzero(apart), many, most):
        own, flat = slice(start, stop), np.arange(offsets[start], offsets[stop])
        mask = np.arange(int(lengths[own].max())) < lengths[own, None]
        padded = np.zeros(mask.shape, np.int64)
        padded[mask] = flat
        yield _Group(
            states.since[own],
            states.until[own],
            states.ts[own],
            states.request[own],
            flat,
            padded,
            mask,
        )


def _spans(starts: NDArray[np.int64], n: int, most: int) -> Iterator[tuple[int, int]]:
    """Ranges from each start to the next, cut into pieces of at most ``most``."""
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), n], strict=True):
        for piece in range(start, stop, most):
            yield piece, min(piece + most, stop)
