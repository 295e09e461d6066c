"""User state from history embeddings: what each candidate resembles in the user's history.

Everything is computed from ``Decisions`` in blocks of decisions padded to one length, so memory is
bounded by the block and nothing is ever rows x catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions, Ragged
from mrlm.bandit_log.ragged import gather

# Entries of the largest array of a block: 2**21 float32 are 8 MiB, which stays near the cache.
_BLOCK = 1 << 21


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


def attention_features(
    decisions: Decisions,
    kernels: Sequence[Kernel],
    values: NDArray[np.float32],
) -> NDArray[np.floating]:
    """Target attention of every candidate over the history, under each kernel.

    For kernel k and value column r: sum_h w_k(c, h) v_r(h) / (sum_h w_k(c, h) + prior), over the
    entries with a known value; and log(1 + sum_h w_k(c, h)), the evidence (Nadaraya-Watson
    regression with a prior; target attention as in Zhou et al., Deep Interest Network, 2018, with
    frozen similarities).

    Args:
        decisions: states and candidates.
        kernels: how candidates attend; all vectors in one precision.
        values: float32, shape (history entries, r); NaN in a row where its value is unknown.

    Returns:
        Precision of the vectors, shape (N, kernels * (r + 1)): for each kernel its r means, then
        its evidence.
    """
    width = values.shape[1]
    real = np.result_type(np.float32, *[k.vectors for k in kernels])
    out = np.zeros((len(decisions.candidates.values), len(kernels) * (width + 1)), real)
    known = np.asarray(np.isfinite(values).all(axis=1, keepdims=True), np.bool_)
    columns = np.where(known, values, 0.0).astype(real)
    columns = np.concatenate([columns, known.astype(real)], axis=1)
    for block in _blocks(decisions.candidates, decisions.history):
        weighed = columns[block.history_flat] * block.history_mask[..., None]
        similarity: dict[int, NDArray[np.floating]] = {}
        for j, kernel in enumerate(kernels):
            name = id(kernel.vectors)
            if name not in similarity:
                candidate = kernel.vectors[block.candidates]
                history = kernel.vectors[block.history]
                similarity[name] = candidate @ history.transpose(0, 2, 1)
            weight = np.exp((similarity[name] - 1) * real.type(1 / kernel.temperature))
            sums = weight @ weighed
            evidence = sums[..., -1:]
            means = sums[..., :-1] / (evidence + real.type(kernel.prior))
            block_out = np.concatenate([means, np.log1p(evidence)], axis=-1)
            place = slice(j * (width + 1), (j + 1) * (width + 1))
            out[block.candidate_flat, place] = block_out[block.candidate_mask]
    return out


def profile(
    decisions: Decisions,
    vectors: NDArray[np.floating],
    values: NDArray[np.float32],
    prior: float,
) -> NDArray[np.floating]:
    """Mean of the history's item vectors, each times its value, shape (n, width).

    In the precision of the vectors. Entries with a value of NaN are left out; ``prior`` zero
    vectors are added.
    """
    real = vectors.dtype
    weight = np.nan_to_num(values, nan=0.0).astype(real)
    known = np.isfinite(values)
    out = np.zeros((len(decisions), vectors.shape[1]), real)
    for block in _blocks(decisions.candidates, decisions.history):
        mask = block.history_mask
        w = weight[block.history_flat] * mask
        count = (known[block.history_flat] * mask).sum(axis=1)
        total = np.matmul(w[:, None, :], vectors[block.history])[:, 0]
        out[block.decisions] = total / (count + real.type(prior))[:, None]
    return out


def history_moments(
    decisions: Decisions, values: NDArray[np.float32], half_life: float
) -> NDArray[np.float64]:
    """Count, mean, and recency-weighted mean of the known history values.

    Args:
        decisions: n states.
        values: float32, one an entry of the history; NaN is unknown.
        half_life: entries back at which a value's weight has fallen to a half.

    Returns:
        float64, shape (n, 3): log(1 + count); sum / (count + 2); weighted sum / (weights + 2).
    """
    history = decisions.history
    n = len(history)
    row = history.row
    known = np.isfinite(values)
    age = np.repeat(history.offsets[1:], history.lengths) - 1 - np.arange(len(row))
    weight = np.where(known, 0.5 ** (age / half_life), 0.0)
    value = np.nan_to_num(values, nan=0.0).astype(np.float64)
    count = np.bincount(row, weights=known, minlength=n)
    mean = np.bincount(row, weights=value, minlength=n) / (count + 2.0)
    total = np.bincount(row, weights=weight, minlength=n)
    recent = np.bincount(row, weights=weight * value, minlength=n) / (total + 2.0)
    return np.stack([np.log1p(count), mean, recent], axis=1)


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


def _blocks(candidates: Ragged, history: Ragged) -> Iterator[_Block]:
    """Blocks of decisions of like size; decisions without history are left out."""
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
