"""User state from history embeddings: what each candidate resembles in the user's history.

Everything is computed in blocks of decisions padded to one length, so memory is
bounded by the block and nothing is ever rows x catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mrlm.bandit_log import Decisions, Ragged
from mrlm.bandit_log.ragged import gather, segment_sum

# Entries of the largest array of a block: 2**18 float64 are 2 MiB, which stays in the cache.
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class Kernels:
    """Ways in which a candidate attends to the history, over the same vectors.

    Attributes:
        vectors: float, shape (items, width) or, of m spaces at once, (m, items, width); of unit
            length or zero: what similarity is. Features are computed in their precision.
        temperatures: weight of a history entry = exp((similarity - 1) / temperature).
        priors: one a temperature, weight of a value of 0 that is added, which shrinks thin
            evidence.
    """

    vectors: NDArray[np.floating]
    temperatures: tuple[float, ...]
    priors: tuple[float, ...]

    @cached_property
    def _parts(self) -> tuple[NDArray[np.floating], ...]:
        """Vectors by space, and rates and priors of shape (kernels, 1, 1)."""
        rate, prior = 1.0 / np.array(self.temperatures), np.array(self.priors)
        vectors = self.vectors if self.vectors.ndim == 3 else self.vectors[None]
        return vectors, *(x[:, None, None].astype(vectors.dtype) for x in (rate, prior))

    def attend(
        self,
        summands: NDArray[np.floating],
        history: NDArray[np.int64],
        candidates: NDArray[np.int64],
        width: int,
    ) -> NDArray[np.floating]:
        """Features of the candidates of b decisions, shape (m, b, kernels, 2 width [+ 1], k).

        Args:
            summands: rows of ``Entries.summands``, 0 for pads, shape (m, b, rows, h).
            history: item codes, shape (b, h).
            candidates: item codes, shape (b, k).
            width: values an entry has.
        """
        vectors, rate, prior = self._parts
        past, offered = (vectors.take(codes, axis=1) for codes in (history, candidates))
        farther = past @ offered.swapaxes(2, 3)
        farther -= 1
        weight = farther[:, :, None] * rate
        np.exp(weight, out=weight)
        sums: NDArray[np.floating] = np.matmul(summands[:, :, None], weight)
        evidence = sums[..., width:, :]
        sums[..., :width, :] /= evidence[..., :width, :] + prior
        np.log1p(evidence, out=evidence)
        return sums


@dataclass(frozen=True, eq=False)
class Entries:
    """What n decisions look back on: H entries, and what is known of each.

    Attributes:
        items: ragged int32 item codes, one row a decision, oldest first.
        values: shape (H, r) or, as m spaces scale them, (m, H, r); NaN where unknown.
    """

    items: Ragged
    values: NDArray[np.floating]

    @classmethod
    def of(cls, decisions: Decisions) -> Entries:
        """What the decisions look back on, with the rewards of the histories' first objective."""
        seen = decisions.looked_back_on()
        histories = decisions.histories
        items = Ragged(seen.offsets, histories.item[seen.values])
        return cls(items, histories.rewards[seen.values, :1])

    @cached_property
    def summands(self) -> NDArray[np.floating]:
        """Values, 0 where unknown; whether each is known; and 1: shape (m, 2 r + 1, H)."""
        values = (self.values if self.values.ndim == 3 else self.values[None]).swapaxes(1, 2)
        spaces, width, size = values.shape
        known = np.isfinite(values)
        out = np.zeros((spaces, 2 * width + 1, size), values.dtype)
        np.copyto(out[:, :width], values, where=known)
        out[:, width:-1] = known
        out[:, -1] = 1.0
        return out


def attention_features(
    candidates: Ragged, entries: Entries, kernels: Sequence[Kernels], *, seen: bool = False
) -> NDArray[np.floating]:
    """Target attention of every candidate over the history, under each kernel.

    For kernel k and value r: sum_h w_k(c, h) v_r(h) / (sum_h w_k(c, h) + prior), over the entries
    whose value r is known; and log(1 + sum_h w_k(c, h)) over the same, the evidence
    (Nadaraya-Watson regression with a prior; target attention as in Zhou et al., Deep Interest
    Network, 2018, with frozen similarities).

    Args:
        candidates: ragged item codes, N in all, one row a decision.
        entries: what the same decisions look back on.
        kernels: how candidates attend; all vectors in one precision, of as many spaces as the
            entries' values.
        seen: whether the evidence of all entries, known or not, comes last: what a user was shown
            and did nothing with.

    Returns:
        Precision of the vectors, shape (N, kernels * (2 r + seen)): for each kernel its r means,
        then the evidence of each. Of m spaces at once (m, N, ...).
    """
    width = entries.values.shape[-1]
    each = 2 * width + seen
    many = sum(len(k.temperatures) for k in kernels)
    real = np.result_type(np.float32, *[k.vectors for k in kernels])
    summands = entries.summands[:, :each].astype(real, copy=False)
    out = np.zeros((len(summands), len(candidates.values), many * each), real)
    for block in _blocks(candidates, entries.items, len(summands) * many):
        own = summands[:, :, block.history_flat]
        own = (own * block.history_mask).swapaxes(1, 2) if block.padded else own.swapaxes(1, 2)
        found = [k.attend(own, block.history, block.candidates, width) for k in kernels]
        columns = np.concatenate(found, axis=2).reshape(len(out), -1, many * each, block.width)
        by_candidate = columns.swapaxes(2, 3)
        if block.padded:
            out[:, block.candidate_flat] = by_candidate[:, block.candidate_mask]
        else:
            out[:] = by_candidate[:, 0]
    return out if entries.values.ndim == 3 else out[0]


def profile(entries: Entries, vectors: NDArray[np.floating], prior: float) -> NDArray[np.floating]:
    """Mean of the history's item vectors, each times its value, shape (n, r * width).

    In the precision of the vectors, a vector for each of the r values. Entries whose value is not
    known are left out; ``prior`` zero vectors are added. Of m spaces, whose vectors have the shape
    (m, items, width), (m, n, r * width).
    """
    spaces = vectors if vectors.ndim == 3 else vectors[None]
    width, items = entries.values.shape[-1], entries.items
    summands = entries.summands.astype(vectors.dtype, copy=False)
    sums = _weighed_sums(summands[:, :width], items, spaces)
    count = _segment_sums(summands[:, width : 2 * width], items.offsets)
    # Shape (m, r, n, width), then by decision.
    found = sums / (count + prior).astype(vectors.dtype)[..., None]
    flat = found.swapaxes(1, 2).reshape(len(spaces), len(items), -1)
    return flat if vectors.ndim == 3 else flat[0]


def _weighed_sums(
    weight: NDArray[np.floating], items: Ragged, vectors: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Sums of the vectors of each row's items, each times its weights, (m, r, n, width).

    Args:
        weight: shape (m, r, H).
        items: n rows, H codes in all.
        vectors: shape (m, items, width).
    """
    if len(items) == 1:
        # What a sparse matrix costs to make is more than one row's products.
        return np.asarray((weight @ vectors.take(items.values, axis=1))[:, :, None])
    shape = (len(items), vectors.shape[1])
    return np.array(
        [
            [sparse.csr_array((w, items.values, items.offsets), shape=shape) @ v for w in own]
            for own, v in zip(weight, vectors, strict=True)
        ]
    )


def _segment_sums(values: NDArray[np.floating], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums within each row, (m, r, H) to float64 (m, r, n)."""
    if len(offsets) == 2:
        return np.asarray(values.sum(axis=2, keepdims=True), np.float64)
    spaces, width, size = values.shape
    flat = segment_sum(values.reshape(spaces * width, size).T.astype(np.float64), offsets)
    return flat.T.reshape(spaces, width, len(offsets) - 1)


def history_moments(entries: Entries, half_life: float) -> NDArray[np.float64]:
    """Count, mean, and recency-weighted mean of each known value of the history.

    Args:
        entries: what n decisions look back on, with r values.
        half_life: entries back at which a value's weight has fallen to a half.

    Returns:
        float64, shape (n, r, 3): log(1 + count); sum / (count + 2); weighted sum / (weights + 2).
        Of m spaces (m, n, r, 3).
    """
    history, width = entries.items, entries.values.shape[-1]
    age = np.repeat(history.offsets[1:], history.lengths) - 1 - np.arange(len(history.values))
    fresh = 0.5 ** (age / half_life)
    summands = entries.summands[:, : 2 * width].astype(np.float64)
    plain = _segment_sums(summands, history.offsets)
    recent = _segment_sums(summands * fresh, history.offsets)
    (total, count), (late, weight) = ((x[:, :width], x[:, width:]) for x in (plain, recent))
    parts = np.stack([np.log1p(count), total / (count + 2.0), late / (weight + 2.0)], axis=3)
    found = parts.swapaxes(1, 2)
    return found if entries.values.ndim == 3 else found[0]


@dataclass(frozen=True)
class _Block:
    """b decisions padded to k candidates and h history entries; pads point at place 0."""

    decisions: NDArray[np.int64]
    candidates: NDArray[np.int64]
    candidate_mask: NDArray[np.bool_]
    candidate_flat: NDArray[np.int64]
    history: NDArray[np.int64]
    history_mask: NDArray[np.bool_]
    history_flat: NDArray[np.int64]
    padded: bool = True

    @property
    def width(self) -> int:
        """k, pads included."""
        return int(self.candidates.shape[1])


def _blocks(candidates: Ragged, history: Ragged, kernels: int) -> Iterator[_Block]:
    """Blocks of decisions of like size; decisions without history are left out."""
    if len(history) == 1:
        yield from _alone(candidates.values, history.values)
        return
    with_history = np.flatnonzero((history.lengths > 0) & (candidates.lengths > 0))
    sizes = (candidates.lengths[with_history], history.lengths[with_history])
    order = with_history[np.lexsort(sizes)]
    start = 0
    while start < len(order):
        # Sorted by history length: the last of a block is the longest.
        stop = min(len(order), start + _BLOCK // 1024)
        k = int(candidates.lengths[order[start:stop]].max())
        h = int(history.lengths[order[start:stop]].max())
        stop = min(stop, start + max(1, _BLOCK // (max(k, 64) * h * kernels)))
        chosen = order[start:stop]
        c_code, c_mask, c_flat = _pad(candidates, chosen)
        h_code, h_mask, h_flat = _pad(history, chosen)
        yield _Block(chosen, c_code, c_mask, c_flat[c_mask], h_code, h_mask, h_flat)
        start = stop


def _alone(candidates: NDArray[np.int32], history: NDArray[np.int32]) -> Iterator[_Block]:
    """The block of the only decision, which needs no pads."""
    k, h = len(candidates), len(history)
    if k and h:
        yield _Block(
            np.zeros(1, np.int64),
            candidates[None].astype(np.int64),
            np.ones((1, k), np.bool_),
            np.arange(k),
            history[None].astype(np.int64),
            np.ones((1, h), np.bool_),
            np.arange(h)[None],
            padded=False,
        )


def _pad(
    ragged: Ragged, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Values, mask and flat positions of rows padded to the longest, each (rows, longest)."""
    flat, offsets = gather(ragged.offsets, index)
    lengths = np.diff(offsets)
    mask = np.arange(int(lengths.max())) < lengths[:, None]
    place = np.zeros(mask.shape, np.int64)
    place[mask] = flat
    return ragged.values[place].astype(np.int64), mask, place
