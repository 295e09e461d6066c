"""How many groups share the shows: the effective number, and what raises it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Ragged, segment_sum

Floats = NDArray[np.float64]


def group_shows(probability: Floats, groups: Ragged) -> Floats:
    """Expected shows of each group, float64, shape (groups,).

    A candidate's are split evenly over its groups; one without any does not count.

    Args:
        probability: of every candidate, shape (N,).
        groups: int codes, one row a candidate.
    """
    lengths = groups.lengths
    part = probability / np.maximum(lengths, 1)
    return np.bincount(groups.values, np.repeat(part, lengths)).astype(np.float64)


def effective_number(shows: Floats) -> float:
    """exp(entropy of the shares), from 1, where one group has all, to the number of groups.

    The Hill number of order 1 (Jost, "Entropy and diversity", Oikos 2006): so many groups with
    equal shares have this entropy. NaN where nothing is shown.

    Args:
        shows: expected shows of each group, not negative, shape (groups,).
    """
    return float(np.exp(-_surprise(shows)[0])) if shows.sum() > 0 else float("nan")


def rarity(shows: Floats) -> Floats:
    """-log of each group's share of the shows, nats, shape (groups,).

    What a show of the group adds to the entropy of the shares, but for what is the same for all
    groups: the gradient of the concave log effective number. A group without a show is as rare as
    the rarest that has any.
    """
    share = shows / shows.sum()
    found: Floats = -np.log(np.maximum(share, share[share > 0].min()))
    return found


def entropy_gradient(shows: Floats, groups: Ragged) -> tuple[float, Floats]:
    """Log effective number, and its gradient in the probability of every candidate, (N,).

    Args:
        shows: as ``group_shows`` gives them, with a positive sum.
        groups: int codes, one row a candidate.
    """
    negative, logarithm = _surprise(shows)
    by_group = (negative - logarithm) / shows.sum()
    total = segment_sum(by_group[groups.values], groups.offsets)
    return -negative, np.asarray(total / np.maximum(groups.lengths, 1), np.float64)


def _surprise(shows: Floats) -> tuple[float, Floats]:
    """Sum of share log share, and log share; a group without a show adds nothing."""
    share = shows / shows.sum()
    logarithm = np.log(np.maximum(share, 1e-300))
    return float(share @ logarithm), logarithm
