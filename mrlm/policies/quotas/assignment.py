"""One candidate for each request, drawn for all at once so that no item is shown too often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import rows
from mrlm.policies.quotas.dependent_rounding import DependentRounding
from mrlm.policies.quotas.shares_within_quotas import shares_within_quotas

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
    most: NDArray[np.float64],
    rng: np.random.Generator,
) -> Assignment:
    """A random assignment with the probabilities of ``shares_within_quotas``.

    Requests are not drawn independently of each other: an item whose quota binds goes to exactly as
    many as it may, so that where one request gets it others do not.

    Args:
        probability: of every candidate under a policy, shape (N,); each row's sum to 1.
        offsets: of the rows, shape (n + 1,).
        item: code of every candidate, shape (N,).
        most: how often each item may be shown in all, shape (items,); infinite without a quota.
        rng: of the draws.
    """
    share = shares_within_quotas(probability, offsets, item, most)
    row, n = rows(offsets), len(offsets) - 1
    edge = np.flatnonzero(np.isfinite(most[item]) & (share > 0))
    rest = np.maximum(1.0 - np.bincount(row[edge], weights=share[edge], minlength=n), 0.0)
    # Vertices: requests, then what each gets besides, which no quota counts, then items.
    own = np.arange(n)
    one = DependentRounding(
        np.concatenate([row[edge], own]),
        np.concatenate([2 * n + item[edge], n + own]),
        np.concatenate([share[edge], rest]),
        lambda chance: bool(rng.random() < chance),
    ).rounded()
    place = _drawn_freely(np.where(np.isfinite(most[item]), 0.0, share), offsets, rng)
    taken = edge[one[: len(edge)]]
    place[row[taken]] = taken
    return Assignment(place, share)


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
