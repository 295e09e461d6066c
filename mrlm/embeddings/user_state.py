"""User state from history embeddings: what each candidate resembles in the user's history.

Everything is computed in blocks of decisions padded to one length, so memory is
bounded by the block and nothing is ever rows x catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mrlm.bandit_log import Decisions, Ragged
from mrlm.bandit_log.ragged import gather, segment_sum

# Entries of the largest array of a block: 2**18 float64 are 2 MiB, which stays in the cache.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Kernel:
    """One way in which a candidate attends to the history.

    Attributes:
        vectors: float, shape (items, width), of unit length or zero: what similarity is. Features
            are computed in their precision.
        temperature: weight of a history entry = exp((similarity - 1) / temperature).
        prior: weight of a value of 0 that is added, which shrinks thin evidence.
    """

    vectors: NDArray[np.floating]
    temperature: float
    prior: float


@dataclass(frozen=True)
class Entries:
    """What n decisions look back on: H entries, and what is known of each.

    Attributes:
        items: ragged int32 item codes, one row a decision, oldest first.
        values: shape (H, r); NaN where unknown.
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


def attention_features(
    candidates: Ragged, entries: Entries, kernels: Sequence[Kernel], *, seen: bool = False
) -> NDArray[np.floating]:
    """Target attention of every candidate over the history, under each kernel.

    For kernel k and value r: sum_h w_k(c, h) v_r(h) / (sum_h w_k(c, h) + prior), over the entries
    whose value r is known; and log(1 + sum_h w_k(c, h)) over the same, the evidence
    (Nadaraya-Watson regression with a prior; target attention as in Zhou et al., Deep Interest
    Network, 2018, with frozen similarities).

    Args:
        candidates: ragged item codes, N in all, one row a decision.
        entries: what the same decisions look back on.
        kernels: how candidates attend; all vectors in one precision.
        seen: whether the evidence of all entries, known or not, comes last: what a user was shown
            and did nothing with.

    Returns:
        Precision of the vectors, shape (N, kernels * (2 r + seen)): for each kernel its r means,
        then the evidence of each.
    """
    values = entries.values
    width = values.shape[1]
    each = 2 * width + seen
    real = np.result_type(np.float32, *[k.vectors for k in kernels])
    out = np.zeros((len(candidates.values), len(kernels) * each), real)
    known = np.isfinite(values)
    columns = [np.where(known, values, 0.0), known]
    columns += [np.ones((len(values), 1))] if seen else []
    weighed_by = np.concatenate(columns, axis=1).astype(real)
    rates = [real.type(1 / k.temperature) for k in kernels]
    priors = np.array([k.prior for k in kernels], real)[:, None, None]
    for block in _blocks(candidates, entries.items):
        # Entries by candidates: products of contiguous matrices cost least.
        weighed = (weighed_by[block.history_flat] * block.history_mask[..., None]).swapaxes(1, 2)
        sums = np.empty((len(weighed), len(kernels), each, block.width), real)
        farther: dict[int, NDArray[np.floating]] = {}
        for j, kernel in enumerate(kernels):
            name = id(kernel.vectors)
            if name not in farther:
                candidate = np.ascontiguousarray(kernel.vectors[block.candidates].swapaxes(1, 2))
                farther[name] = kernel.vectors[block.history] @ candidate
                farther[name] -= 1
            weight = farther[name] * rates[j]
            np.matmul(weighed, np.exp(weight, out=weight), out=sums[:, j])
        evidence = sums[:, :, width:]
        means = sums[:, :, :width] / (evidence[:, :, :width] + priors)
        found = np.concatenate([means, np.log1p(evidence)], axis=2)
        by_candidate = found.reshape(len(found), -1, block.width).swapaxes(1, 2)
        out[block.candidate_flat] = by_candidate[block.candidate_mask]
    return out


def profile(entries: Entries, vectors: NDArray[np.floating], prior: float) -> NDArray[np.floating]:
    """Mean of the history's item vectors, each times its value, shape (n, r * width).

    In the precision of the vectors, a vector for each of the r values. Entries whose value is not
    known are left out; ``prior`` zero vectors are added.
    """
    real, items = vectors.dtype, entries.items
    known = np.isfinite(entries.values)
    weight = np.where(known, entries.values, 0.0).astype(real)
    parts = []
    for j in range(entries.values.shape[1]):
        total = _weighed_sums(weight[:, j], items, vectors)
        count = segment_sum(known[:, j], items.offsets)
        parts.append(total / (count + prior).astype(real)[:, None])
    return np.concatenate(parts, axis=1)


def _weighed_sums(
    weight: NDArray[np.floating], items: Ragged, vectors: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Sum of the vectors of each row's items, each times its weight, shape (n, width)."""
    if len(items) == 1:
        # What a sparse matrix costs to make is more than one row's products.
        return np.asarray(weight[None] @ vectors[items.values])
    whole = (weight, items.values, items.offsets)
    return np.asarray(sparse.csr_array(whole, shape=(len(items), len(vectors))) @ vectors)


def history_moments(entries: Entries, half_life: float) -> NDArray[np.float64]:
    """Count, mean, and recency-weighted mean of each known value of the history.

    Args:
        entries: what n decisions look back on, with r values.
        half_life: entries back at which a value's weight has fallen to a half.

    Returns:
        float64, shape (n, r, 3): log(1 + count); sum / (count + 2); weighted sum / (weights + 2).
    """
    history, values = entries.items, entries.values
    row = history.row
    age = np.repeat(history.offsets[1:], history.lengths) - 1 - np.arange(len(row))
    fresh = 0.5 ** (age / half_life)
    known = np.isfinite(values)
    value = np.where(known, values, 0.0).astype(np.float64)
    columns = [known, value, fresh[:, None] * known, fresh[:, None] * value]
    sums = segment_sum(np.concatenate(columns, axis=1), history.offsets)
    count, total, weight, recent = sums.reshape(len(history), 4, -1).swapaxes(0, 1)
    return np.stack([np.log1p(count), total / (count + 2.0), recent / (weight + 2.0)], axis=2)


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

    @property
    def width(self) -> int:
        """k, pads included."""
        return int(self.candidates.shape[1])


def _blocks(candidates: Ragged, history: Ragged) -> Iterator[_Block]:
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
        stop = min(stop, start + max(1, _BLOCK // (max(k, 64) * h)))
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
