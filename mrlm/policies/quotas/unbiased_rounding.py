"""Whole shows out of expected ones: each with its own probability, and each sum nearly its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Binary digits of a value.
DIGITS = 40
WHOLE = 1 << DIGITS

Codes = NDArray[np.int64]
Coins = Callable[[int], NDArray[np.bool_]]


def rounded(
    units: Codes, left: Sequence[Codes], right: Sequence[Codes], coins: Coins
) -> NDArray[np.bool_]:
    """Round E values to 0 or 1, each to 1 with the probability that is its value.

    The sum over each set of either side is rounded up or down and by less than 1, so a whole sum
    stays as it is. From the last binary digit to the first, values with an odd digit are paired
    within the sets, those that are left over within the next larger sets; along the chains and
    circles of pairs, of two neighbours one moves up and the other down by that digit, which of them
    a coin says (Doerr, Friedrich, Klein and Osbild, "Unbiased matrix rounding", SWAT 2006). The
    outcome is a draw from a Birkhoff-von Neumann decomposition of the values over two hierarchies
    of sets (Budish, Che, Kojima and Milgrom, "Designing random allocation mechanisms", AER 2013).

    Args:
        units: values times ``WHOLE``, int64, shape (E,), from 0 to ``WHOLE``.
        left: of one side the set of each value, int64, shape (E,), the smallest sets first; each
            set lies in one of the next larger ones.
        right: the same of the other side.
        coins: gives so many fair coins, bool.
    """
    units = units.copy()
    sides = [(side, np.lexsort(tuple(side))) for side in (left, right)]
    for digit in range(DIGITS):
        odd = (units >> digit & 1).astype(bool)
        if not odd.any():
            continue
        pairs = np.concatenate([_pairs(side, order[odd[order]]) for side, order in sides], axis=1)
        chosen = np.flatnonzero(odd)
        place = np.cumsum(odd) - 1
        up = _alternating(place[pairs], len(chosen), coins)
        units[chosen] += np.where(up, 1 << digit, -(1 << digit))
    whole: NDArray[np.bool_] = units == WHOLE
    return whole


def _pairs(side: Sequence[Codes], left_over: Codes) -> Codes:
    """Values two by two within the smallest sets that have two of them left, shape (2, pairs).

    Args:
        side: sets of all values.
        left_over: values to be paired, in the order of their sets, the largest sets first.
    """
    found = []
    for sets in side:
        code = sets[left_over]
        first = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
        size = np.diff(np.append(first, len(code)))
        within = np.arange(len(code)) - np.repeat(first, size)
        paired = within < np.repeat(size // 2 * 2, size)
        found.append(left_over[paired].reshape(-1, 2).T)
        left_over = left_over[~paired]
        if not len(left_over):
            break
    return np.concatenate(found, axis=1)


def _alternating(pairs: Codes, values: int, coins: Coins) -> NDArray[np.bool_]:
    """Which values move up, bool, shape (values,): of every pair one; a coin for each component.

    A value is in one pair of each side at most, so that every circle of pairs is even.

    Args:
        pairs: places of values, shape (2, pairs).
        values: how many there are.
        coins: see ``rounded``.
    """
    # Two nodes a value, up and down. A pair ties the one's up to the other's down, so that of a
    # component's two halves either may be the one that happens.
    one, other = pairs
    begin = np.concatenate([one, one + values])
    end = np.concatenate([other + values, other])
    ties = coo_array((np.ones(len(begin), np.int8), (begin, end)), shape=(2 * values, 2 * values))
    _, half = connected_components(ties, directed=False)
    up, down = half[:values], half[values:]
    component = np.minimum(up, down)
    known = np.zeros(2 * values, np.bool_)
    known[component] = True
    heads = coins(int(known.sum()))[(np.cumsum(known) - 1)[component]]
    chosen: NDArray[np.bool_] = (up < down) == heads
    return chosen
