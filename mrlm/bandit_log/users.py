"""Users as sorted unique lists, and what lies where in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Place = slice | NDArray[np.int64]


def group(cluster: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Sorted unique users, and the place of each round's user among them, int64, shape (n,)."""
    if cluster.dtype.kind in "iu":
        return _group_integers(cluster)
    # Sorting Python strings once per user instead of once per round.
    encoded = _strings(cluster).dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    found = encoded.dictionary.to_numpy(zero_copy_only=False)[order]
    return found, place[encoded.indices.to_numpy(zero_copy_only=False)]


def union(
    first: NDArray[Any], second: NDArray[Any]
) -> tuple[NDArray[Any], Place, NDArray[np.int64]]:
    """All users of two sorted unique lists, sorted, and where those of each are among them.

    Linear in the users: merging a batch into a state must not sort the state again.
    """
    if len(first) == 0:
        return second, np.zeros(0, np.int64), np.arange(len(second))
    if len(first) == len(second) and np.array_equal(first, second):
        return first, slice(None), np.arange(len(first))
    if first.dtype.kind in "iu":
        at = np.searchsorted(first, second)
        known = first[np.minimum(at, len(first) - 1)] == second
    else:
        found = pc.index_in(_strings(second), value_set=_strings(first))
        known = np.asarray(found.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        at = pc.fill_null(found, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        at[~known] = np.searchsorted(first, second[~known])
    if known.all():
        return first, slice(None), at
    # A new user goes before the known one at its place, so it moves that one and all after it.
    before = np.cumsum(np.bincount(at[~known], minlength=len(first) + 1))
    mine = np.arange(len(first)) + before[:-1]
    theirs = np.empty(len(second), np.int64)
    theirs[~known] = at[~known] + np.arange(int((~known).sum()))
    theirs[known] = mine[at[known]]
    cluster = np.empty(len(first) + int((~known).sum()), np.result_type(first, second))
    cluster[mine] = first
    cluster[theirs[~known]] = second[~known]
    return cluster, mine, theirs


def _strings(cluster: NDArray[Any]) -> pa.Array:
    return pa.array(cluster.astype(object), pa.string())


def _group_integers(cluster: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    low, high = int(cluster.min()), int(cluster.max())
    if high - low > 8 * len(cluster):
        found, code = np.unique(cluster, return_inverse=True)
        return found, code.astype(np.int64, copy=False)
    # Counting is linear where the numbers lie close together, and sorting is not.
    shifted = (cluster - cluster.dtype.type(low)).astype(np.int64, copy=False)
    present = np.bincount(shifted) > 0
    place = np.cumsum(present) - 1
    found = np.flatnonzero(present).astype(cluster.dtype) + cluster.dtype.type(low)
    return found, shifted if len(found) == len(present) else place[shifted]
