"""The distinct pairs of a state and a candidate among decisions: what is said of each once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log import Decisions, Ragged


@dataclass(frozen=True)
class DistinctPairs:
    """States of n decisions, and all that is offered in each.

    A state is what decisions share that see the same entries: those of one request. Its slots offer
    the same items but for those shown above.

    Attributes:
        states: a decision a state, with every candidate of it; P candidates in all. Only what it
            looks back on, and these, are those of the whole state. By the first entry of each.
        state: int64, shape (n,), row of ``states`` of each decision.
        pair: int64, shape (N,), place of each candidate among those of ``states``.
    """

    states: Decisions
    state: NDArray[np.int64]
    pair: NDArray[np.int64]


def distinct_pairs(decisions: Decisions) -> DistinctPairs:
    """The pairs of n decisions with N candidates."""
    if len(decisions) == 1:
        every = np.arange(len(decisions.candidates.values))
        return DistinctPairs(decisions, np.zeros(1, np.int64), every)
    keys = (decisions.request, decisions.ts, decisions.until, decisions.since)
    order = np.lexsort(keys)
    new = np.zeros(len(order), np.bool_)
    new[:1] = True
    for key in keys:
        new[1:] |= np.diff(key[order]).astype(np.int64) != 0
    state = np.empty(len(order), np.int64)
    state[order] = np.cumsum(new) - 1
    first = order[new]
    items = max(len(decisions.catalog), 1)
    codes = decisions.candidates.values.astype(np.int64)
    offered, pair = np.unique(state[decisions.candidates.row] * items + codes, return_inverse=True)
    owner, code = np.divmod(offered, items)
    offsets = np.zeros(len(first) + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=len(first)), out=offsets[1:])
    candidates = Ragged(offsets, code.astype(np.int32))
    return DistinctPairs(replace(decisions.take(first), candidates=candidates), state, pair)
