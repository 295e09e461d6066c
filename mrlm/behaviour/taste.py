"""What a user's history says of candidates by what other users thought of the same items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mrlm.bandit_log import Decisions
from mrlm.behaviour.item_factors import ItemFactors, products, symmetric
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
    out = np.zeros((len(decisions.candidates.values), PER_MODEL * len(models)), precision)
    if not models:
        return out
    codes = decisions.candidates.values.astype(np.int64)
    keys = _Keys.of(decisions, space, models, precision)
    for group in _groups(decisions, len(models) * models[0].loading.shape[1]):
        found = keys.posterior(group, group.seen(decisions), codes[group.padded])
        out[group.flat] = found[group.mask]
    return out


@dataclass(frozen=True)
class _Keys:
    """Factor models, and rewards less the items' means of the entries that are looked back on.

    Decisions of one block share the histories of a whole log, and look back on a part of them.

    Attributes:
        start: the first entry that is read; the rows below count from it.
        loading: of each model, with a row of zeros at the end.
        row: of each model, the row of each item.
        item: int32, of the entries that are read, e of them.
        residual: shape (e, models); NaN where unknown.
        noise: shape (models, 1, 1).
    """

    start: int
    loading: tuple[Floats, ...]
    row: tuple[NDArray[np.int64], ...]
    item: NDArray[np.int32]
    residual: Floats
    noise: Floats

    @classmethod
    def of(
        cls,
        decisions: Decisions,
        space: FeatureSpace,
        models: Sequence[ItemFactors],
        precision: type[np.floating],
    ) -> _Keys:
        start = int(decisions.since.min(initial=len(decisions.histories)))
        place = np.arange(start, max(int(decisions.until.max(initial=0)), start))
        item = decisions.histories.item[place]
        rewards = space.scaled_rewards(decisions.histories, place).astype(np.float64)
        names = [h.objective for h in space.history]
        rows = tuple(m.rows(decisions.catalog) for m in models)
        means, loadings = zip(*[m.padded() for m in models], strict=True)
        residual = [
            rewards[:, names.index(m.objective)] - mean[row[item]]
            for m, mean, row in zip(models, means, rows, strict=True)
        ]
        return cls(
            start=start,
            loading=tuple(x.astype(precision) for x in loadings),
            row=rows,
            item=item,
            residual=np.stack(residual, axis=1).astype(precision),
            noise=np.array([m.noise for m in models], precision)[:, None, None],
        )

    def loadings(self, codes: NDArray[np.integer]) -> Floats:
        """Of items under each model, (models, ..., factors)."""
        return np.stack([x[row[codes]] for x, row in zip(self.loading, self.row, strict=True)])

    def posterior(
        self, group: _Group, seen: NDArray[np.bool_], candidates: NDArray[np.int64]
    ) -> Floats:
        """Mean and standard deviation for the group's candidates, (s, r, 2 a model)."""
        models, d = len(self.loading), self.loading[0].shape[1]
        read = slice(group.first - self.start, group.last - self.start)
        residual = self.residual[read, :, None]
        known = np.isfinite(residual)
        key = self.loadings(self.item[read]).transpose(1, 0, 2) * known
        columns = np.concatenate([products(key), key * np.nan_to_num(residual, nan=0.0)], axis=2)
        width = columns.shape[2]
        sums = _sums(seen, columns.reshape(-1, models * width)).reshape(-1, models, width)
        precision = symmetric(sums[..., :-d], d) + self.noise * np.eye(d, dtype=sums.dtype)
        query = self.loadings(candidates).transpose(1, 0, 2, 3)
        ask = np.concatenate([sums[..., -d:, None], query.swapaxes(2, 3)], axis=3)
        solved = np.linalg.solve(precision, ask)
        mean = (query @ solved[..., :1])[..., 0]
        variance = self.noise[..., 0] * np.einsum("smrd,smdr->smr", query, solved[..., 1:])
        found = np.stack([mean, np.sqrt(np.maximum(variance, 0.0))], axis=3)
        return found.transpose(0, 2, 1, 3).reshape(*candidates.shape, PER_MODEL * models)


def _sums(seen: NDArray[np.bool_], columns: Floats) -> Floats:
    """Sum of the entries' columns that each state sees, (s, columns).

    The next state of a user sees a few entries more: only what changed is added.
    """
    change = np.diff(seen.astype(np.int8), axis=0, prepend=np.int8(0))
    sums: Floats = np.cumsum(sparse.csr_array(change.astype(columns.dtype)) @ columns, axis=0)
    return sums


@dataclass(frozen=True)
class _Group:
    """States that look back on the same entries, and their candidates.

    A state is what decisions share that see the same entries: those of one request.

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


def _groups(decisions: Decisions, factors: int) -> Iterator[_Group]:
    """All states, those together whose entries overlap, as many as memory allows.

    Args:
        decisions: of which each belongs to one state.
        factors: of all models together.
    """
    keys = (decisions.request, decisions.ts, decisions.until, decisions.since)
    order = np.lexsort(keys)
    if len(order) == 0:
        return
    new = np.zeros(len(order), np.bool_)
    new[0] = True
    for key in keys:
        new[1:] |= np.diff(key[order]).astype(np.int64) != 0
    state = np.empty(len(order), np.int64)
    state[order] = np.cumsum(new) - 1
    first = order[new]
    since, until = decisions.since[first], decisions.until[first]
    of_candidate = state[decisions.candidates.row]
    by_state = np.argsort(of_candidate, kind="stable")
    lengths = np.bincount(of_candidate, minlength=len(first))
    ends = np.cumsum(lengths)
    apart = np.ones(len(first), np.bool_)
    apart[1:] = since[1:] >= np.maximum.accumulate(until)[:-1]
    most = max(1, _BLOCK // (factors * (factors + int(lengths.max()))))
    for start, stop in _spans(np.flatnonzero(apart), len(first), most):
        flat = by_state[ends[start] - lengths[start] : ends[stop - 1]]
        mask = np.arange(int(lengths[start:stop].max())) < lengths[start:stop, None]
        padded = np.zeros(mask.shape, np.int64)
        padded[mask] = flat
        part = first[start:stop]
        yield _Group(
            since[start:stop],
            until[start:stop],
            decisions.ts[part],
            decisions.request[part],
            flat,
            padded,
            mask,
        )


def _spans(starts: NDArray[np.int64], n: int, most: int) -> Iterator[tuple[int, int]]:
    """Ranges from each start to the next, cut into pieces of at most ``most``."""
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), n], strict=True):
        for piece in range(start, stop, most):
            yield piece, min(piece + most, stop)
