"""Sums over each user's rounds, ``code`` being the place of each round's user, shape (n,)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import Place


def spread(values: NDArray[Any], place: Place, users: int) -> NDArray[Any]:
    """A copy of the users' values, shape (users, ...), at their place among more users."""
    if isinstance(place, slice):
        return values.copy()
    out = np.zeros((users, *values.shape[1:]), values.dtype)
    out[place] = values
    return out


def counts(code: NDArray[np.int64], where: NDArray[np.bool_], users: int) -> NDArray[np.int64]:
    """Rounds of each user in which each column (n, m) is true, int64, shape (users, m)."""
    out = np.empty((users, where.shape[1]), np.int64)
    for j in range(where.shape[1]):
        here = where[:, j]
        out[:, j] = np.bincount(code if here.all() else code[here], minlength=users)
    return out


def counts_where(
    code: NDArray[np.int64],
    where: NDArray[np.bool_],
    weight: NDArray[np.float64],
    users: int,
) -> NDArray[np.int64]:
    """Rounds that also have a weight (n, P) above 0, int64, shape (users, m, P)."""
    out = np.empty((users, where.shape[1], weight.shape[1]), np.int64)
    for k in range(weight.shape[1]):
        weighted = weight[:, k] > 0
        here = where if weighted.all() else where & weighted[:, None]
        out[:, :, k] = counts(code, here, users)
    return out


def sums(code: NDArray[np.int64], values: NDArray[np.float64], users: int) -> NDArray[np.float64]:
    """Sums of values (n, m, T) over each user's rounds, shape (users, m, T)."""
    out = np.empty((users, *values.shape[1:]))
    for place in np.ndindex(*values.shape[1:]):
        out[:, *place] = np.bincount(code, values[:, *place], users)
    return out


def sums_where(
    code: NDArray[np.int64], values: NDArray[np.float64], used: NDArray[np.bool_], users: int
) -> NDArray[np.float64]:
    """Sums of values (n, P) over the rounds that each objective uses, shape (users, m, P)."""
    out = np.empty((users, used.shape[1], values.shape[1]))
    everywhere = used.all(0)
    if everywhere.any():
        out[:, everywhere] = sums(code, values[:, None, :], users)
    for j in np.flatnonzero(~everywhere):
        kept = np.where(used[:, j, None], values, 0.0)
        out[:, j] = sums(code, kept[:, None, :], users)[:, 0]
    return out


def largest_where(
    code: NDArray[np.int64], weight: NDArray[np.float64], used: NDArray[np.bool_], users: int
) -> NDArray[np.float64]:
    """Largest weight (n, P) among the rounds that each objective uses, shape (users, m, P)."""
    out = np.zeros((users, used.shape[1], weight.shape[1]))
    everywhere = used.all(0)
    for k in range(weight.shape[1]):
        largest = np.zeros(users)
        if everywhere.any():
            np.maximum.at(largest, code, weight[:, k])
            out[:, everywhere, k] = largest[:, None]
        for j in np.flatnonzero(~everywhere):
            largest = np.zeros(users)
            np.maximum.at(largest, code[used[:, j]], weight[used[:, j], k])
            out[:, j, k] = largest
    return out


def known_sums(
    code: NDArray[np.int64],
    values: NDArray[np.float64],
    used: NDArray[np.bool_],
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """``sums_where`` of values (n, P) that a log may not know, given the users' rounds (users, m).

    A user with one unknown value has an unknown sum.
    """
    if np.isnan(values).all():
        unknown = np.where(rows > 0, np.nan, 0.0)[:, :, None]
        return np.repeat(unknown, values.shape[1], axis=2)
    return sums_where(code, values, used, len(rows))
