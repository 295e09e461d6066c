"""Codes of items from their vectors: the only way in which raw vectors enter an estimate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]


def cluster_items(
    vectors: Vectors, clusters: int, seed: int = 0, iterations: int = 100
) -> NDArray[np.int64]:
    """Cluster of each item by k-means, int64, shape (K,), in [0, clusters).

    The vectors are those of the catalogue, one row an item, so that how often an item was shown
    does not move the clusters. The same vectors and seed give the same codes on every machine.
    Lloyd (1982), started by greedy k-means++ (Arthur and
    Vassilvitskii, 2007).

    Args:
        vectors: float, shape (K, d).
        clusters: how many, from 1 to K.
        seed: of the starting centres.
        iterations: at most so many passes of Lloyd's.

    Raises:
        ValueError: the vectors are not a finite matrix, or the number of clusters is not in 1..K.
    """
    vectors = _checked(vectors)
    if not 1 <= clusters <= len(vectors):
        raise ValueError(
            f"clusters must be from 1 to the number of items, {len(vectors)}; got {clusters}"
        )
    centres = _spread_out(vectors, clusters, np.random.default_rng(seed))
    code = _nearest(vectors, centres)
    for _ in range(iterations):
        count = np.bincount(code, minlength=clusters)
        full = count > 0
        for j in range(vectors.shape[1]):
            total = np.bincount(code, weights=vectors[:, j], minlength=clusters)
            centres[full, j] = total[full] / count[full]
        moved = _nearest(vectors, centres)
        if np.array_equal(moved, code):
            break
        code = moved
    return code


def discretise(vectors: Vectors, levels: int, components: int | None = None) -> NDArray[np.int64]:
    """Code of each item from quantile bins of its vector, int64, shape (K,), from 0.

    Items in the same bin of every column share a code. With as many levels as items, distinct
    vectors have distinct codes, and marginal weights over them are those of IPS: nothing is gained
    by raw vectors.

    Args:
        vectors: float, shape (K, d), one row an item.
        levels: bins a column, at least 1.
        components: replace the columns by so many leading principal components first.

    Raises:
        ValueError: the vectors are not a finite matrix, or a number is out of range.
    """
    vectors = _checked(vectors)
    if levels < 1 or (components is not None and not 1 <= components <= vectors.shape[1]):
        raise ValueError(
            f"levels must be at least 1 and components from 1 to {vectors.shape[1]}; got {levels} "
            f"and {components}"
        )
    if components is not None:
        centred = vectors - vectors.mean(0)
        vectors = centred @ np.linalg.svd(centred, full_matrices=False)[2][:components].T
    bins = np.empty(vectors.shape, np.int64)
    for j, column in enumerate(vectors.T):
        # Ranks of distinct values, so that equal values are never in two bins.
        rank = np.searchsorted(np.sort(column), column)
        bins[:, j] = rank * levels // len(column)
    return np.unique(bins, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def memberships(vectors: Vectors, centres: Vectors, bandwidth: float) -> NDArray[np.float64]:
    """Gaussian-kernel share of each item in each centre, float64, shape (K, C); rows sum to 1.

    ``p(c | a)`` proportional to ``exp(-|v_a - c|^2 / (2 bandwidth^2))``, for ``kernel_weight``.

    Args:
        vectors: float, shape (K, d), one row an item.
        centres: float, shape (C, d), for instance the mean vectors of ``cluster_items``.
        bandwidth: in units of the vectors, above 0.

    Raises:
        ValueError: the vectors are not a finite matrix, or the bandwidth is not above 0.
    """
    vectors, centres = _checked(vectors), _checked(centres)
    if not bandwidth > 0:
        raise ValueError(f"the bandwidth must be above 0; got {bandwidth}")
    logits = -_square_distance(vectors, centres) / (2 * bandwidth**2)
    share = np.exp(logits - logits.max(1, keepdims=True))
    normalised: NDArray[np.float64] = share / share.sum(1, keepdims=True)
    return normalised


def centres_of(vectors: Vectors, code: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean vector of each cluster that has an item, float64, shape (C, d), by ascending code."""
    vectors = _checked(vectors)
    found, place = np.unique(code, return_inverse=True)
    out = np.zeros((len(found), vectors.shape[1]))
    np.add.at(out, place, vectors)
    return out / np.bincount(place)[:, None]


def _checked(vectors: Vectors) -> NDArray[np.float64]:
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or len(vectors) == 0 or not np.isfinite(vectors).all():
        raise ValueError(
            "item vectors must be a finite matrix with one row an item; got shape "
            f"{vectors.shape}, finite: {bool(np.isfinite(vectors).all())}"
        )
    return vectors


def _square_distance(vectors: Vectors, centres: Vectors) -> NDArray[np.float64]:
    product = vectors @ centres.T
    squared: NDArray[np.float64] = np.maximum(
        (vectors**2).sum(1)[:, None] - 2 * product + (centres**2).sum(1), 0.0
    )
    return squared


def _nearest(vectors: Vectors, centres: Vectors) -> NDArray[np.int64]:
    """Nearest centre of each item; blocks bound the matrix of distances."""
    block = max(1, (1 << 24) // len(centres))
    parts = [
        _square_distance(vectors[i : i + block], centres).argmin(1)
        for i in range(0, len(vectors), block)
    ]
    return np.concatenate(parts).astype(np.int64)


def _spread_out(vectors: Vectors, clusters: int, g: np.random.Generator) -> NDArray[np.float64]:
    """Starting centres, each drawn with the square of its distance to those before (k-means++).

    Of a few draws the one that leaves the least total distance is kept, so that two centres seldom
    start in one group.
    """
    draws = 2 + int(np.log(clusters))
    chosen = [int(g.integers(len(vectors)))]
    nearest = _square_distance(vectors, vectors[chosen])[:, 0]
    while len(chosen) < clusters:
        # Inverse of the cumulative sum; where nothing is left to reduce, any item will do.
        at = np.searchsorted(np.cumsum(nearest), g.random(draws) * nearest.sum(), side="right")
        at = np.minimum(at, len(vectors) - 1)
        left = np.minimum(nearest[:, None], _square_distance(vectors, vectors[at]))
        best = int(left.sum(0).argmin())
        chosen.append(int(at[best]))
        nearest = left[:, best]
    return vectors[chosen].copy()
