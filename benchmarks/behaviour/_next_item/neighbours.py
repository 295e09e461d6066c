"""Items that are met near each other: how alike they are, as vectors, and the lists by it.

Likeness is that of item-based neighbours (Sarwar et al., "Item-based collaborative filtering
recommendation algorithms", WWW 2001), but only what one user met within a window counts as met
together (Mikolov et al., "Efficient estimation of word representations in vector space", 2013).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import eigsh

from benchmarks.behaviour._next_item.ml_100k import Sequences

Floats = NDArray[np.float64]
# Entries within which two items count as met together.
WINDOW = 20
# After so many entries one counts half for what comes next.
_HALF = 4.0


def likeness(train: Sequences, window: int) -> sparse.csr_array:
    """How often two items lie at most a window apart in a sequence, over their own such counts.

    Shape (items, items), symmetric, with no likeness of an item to itself. It holds at most a
    window's pairs for each rating.
    """
    pairs = [
        (train.item[apart:][same], train.item[:-apart][same])
        for apart in range(1, window + 1)
        if (same := train.user[apart:] == train.user[:-apart]).any()
    ]
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    shape = (train.items, train.items)
    met = sparse.coo_array((np.ones(len(one)), (one, other)), shape).tocsr()
    met = met + met.T
    # One more each, so that two items that were met once are not the same.
    size = sparse.diags_array(1 / np.sqrt(np.asarray(met.sum(axis=1)).ravel() + 1))
    return sparse.csr_array(size @ met @ size)


def vectors(alike: sparse.csr_array, width: int, seed: int) -> Floats:
    """Vectors of length 1 whose products are nearly the likeness, shape (items, width).

    Those of the largest eigenvalues (Levy and Goldberg, "Neural word embedding as implicit matrix
    factorization", 2014); 0 for an item that is like none.
    """
    start = np.random.default_rng(seed).normal(size=alike.shape[0])
    value, vector = eigsh(alike, width, which="LA", v0=start)
    found = vector * np.sqrt(np.maximum(value, 0))
    size = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(np.where(size > 1e-6, found / np.maximum(size, 1e-6), 0.0))


def nearest(known: Sequences, place: NDArray[np.int64], alike: sparse.csr_array) -> Floats:
    """Scores of all items for the users of ratings: likeness to what came before, (n, items).

    Args:
        known: the sequences that are read.
        place: of the ratings among them, shape (n,).
        alike: see ``likeness``.
    """
    first = known.offsets[known.user[place]]
    many = place - first
    flat = np.arange(many.sum()) + np.repeat(first - (np.cumsum(many) - many), many)
    age = np.repeat(place, many) - flat - 1
    row = np.repeat(np.arange(len(place)), many)
    shape = (len(place), known.items)
    read = sparse.coo_array((0.5 ** (age / _HALF), (row, known.item[flat])), shape)
    return np.asarray((read.tocsr() @ alike).todense())
