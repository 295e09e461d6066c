"""One candidate for each request, drawn for all at once so that items keep to their quotas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows
from mrlm.policies.quotas.quotas import Quotas
from mrlm.policies.quotas.shares_within_quotas import shares_within_quotas
from mrlm.policies.quotas.unbiased_rounding import WHOLE, rounded

NOTHING = -1


@dataclass(frozen=True)
class Assignment:
    """What each of n requests is shown, and how likely each of N candidates was.

    Attributes:
        place: int64, shape (n,), flat place of the candidate; -1 where quotas leave none.
        probability: float64, shape (N,), exact: what rows lack to 1 is the chance of nothing.
    """

    place: NDArray[np.int64]
    probability: NDArray[np.float64]


def assigned(
    probability: NDArray[np.float64],
    offsets: NDArray[np.int64],
    item: NDArray[np.int64],
    quotas: Quotas,
    rng: np.random.Generator,
) -> Assignment:
    """A random assignment with the probabilities of ``shares_within_quotas``, to 12 digits.

    Requests are not drawn independently of each other: an item whose quota binds goes to exactly as
    many as it may or has to, so that where one request gets it others do not. A group with a least
    number is shown as often as is expected of it, but for less than one show.

    Args:
        probability: of every candidate under a policy, shape (N,); each row's sum to 1.
        offsets: of the rows, shape (n + 1,).
        item: code of every candidate, shape (N,).
        quotas: of the items.
        rng: of the draws.
    """
    share = shares_within_quotas(probability, offsets, item, quotas)
    row, n = rows(offsets), len(offsets) - 1
    counted = quotas.counted[item]
    edge = np.flatnonzero(counted & (share > 0))
    units = np.floor(share[edge] * WHOLE).astype(np.int64)
    # What a request gets besides is of no quota: a set of its own.
    rest = WHOLE - np.bincount(row[edge], units, minlength=n).astype(np.int64)
    own, items = np.arange(n), len(quotas.most)
    one = rounded(
        np.concatenate([units, rest]),
        [np.concatenate([row[edge], own])],
        [
            np.concatenate([item[edge], items + own]),
            np.concatenate([quotas.group[item[edge]], len(quotas.least_of_group) + own]),
        ],
        lambda many: rng.random(many) < 0.5,
    )
    free = np.where(counted, 0.0, share)
    place = _drawn_freely(free, offsets, rng)
    taken = edge[one[: len(edge)]]
    place[row[taken]] = taken
    # Of the rounded numbers, which are what was drawn by.
    total = np.bincount(row, free, minlength=n)
    told = free * (rest / WHOLE / np.where(total > 0, total, 1.0))[row]
    told[edge] = units / WHOLE
    return Assignment(place, told)


def _drawn_freely(
    share: NDArray[np.float64], offsets: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Flat place of a candidate of each row in proportion to its share; -1 for a row without any.

    By the Gumbel-max trick (Gumbel, 1954).
    """
    place = np.full(len(offsets) - 1, NOTHING)
    some = np.flatnonzero(share > 0)
    row = rows(offsets)[some]
    noisy = np.log(share[some]) + rng.gumbel(size=len(some))
    # Of what a row is given last, the largest stays.
    order = np.argsort(noisy, kind="stable")
    place[row[order]] = some[order]
    return place
