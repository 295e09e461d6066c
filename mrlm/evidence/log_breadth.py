"""What a log tells of policies that did not write it, before there is a challenger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.nights.logger_precision import precision_by_logger

if TYPE_CHECKING:
    from mrlm.bandit_log.stored.logged_propensities import LoggedPropensities

# What a log must tell before a look or a sign decides anything, in nights of a trial: where less
# does, a better challenger loses its trial to chance, and where more is asked worse ones block.
TELLING = 0.25
# Mass that is never shown beside which an interval is certified (``Thresholds``). Whoever plans a
# night reads this file, and is not to depend on how intervals are certified.
MOST_UNSHOWN = 0.001


def too_little_told(logged: LoggedPropensities | None, share: float) -> float | None:
    """What a log tells of another policy, where that is too little to look at a challenger first.

    Args:
        logged: n decisions; None: some lack a propensity.
        share: see ``told_without_trial``.

    Returns:
        Below ``TELLING``; None where the log tells enough, or it is not known.
    """
    told = None if logged is None else told_without_trial(logged, share)
    return told if told is not None and told < TELLING else None


def told_without_trial(logged: LoggedPropensities, share: float) -> float | None:
    """What a log tells of another policy, over what a log of as many decisions on trial would.

    Before there is a challenger: the other policy is whoever made each decision, with the two items
    exchanged that were most likely. Both by ``precision_by_logger``, as in ``told_by_trial_night``.
    Decisions that never show a second item count as no interval does: so few that one is certified
    beside them are left out, and beside more the log tells nothing.

    Args:
        logged: n decisions.
        share: of what is served that the other policy would choose on trial, in (0, 1).

    Returns:
        0 or more: near 1 for a logger that chooses broadly, near 0 for one that hardly ever shows
        its second choice. None where it is not known: a propensity is missing, or no decision has
        two candidates that differ.
    """
    first, second = _two_likeliest(logged)
    apart = (first - second) ** 2
    if not np.isfinite(apart).all() or not (apart > 0).any():
        return None
    shown = second > 0
    if first[~shown].sum() > MOST_UNSHOWN * len(logged):
        return 0.0
    first, second, apart = first[shown], second[shown], apart[shown]
    if not (apart > 0).any():
        return None
    now = apart * (1.0 / first + 1.0 / second)
    less = share * (first - second)
    ahead = apart * (1.0 / (first - less) + 1.0 / (second + less))
    told = precision_by_logger(logged.policy_id[shown], now).sum()
    return float(told * ahead.mean() / len(now))


def _two_likeliest(
    logged: LoggedPropensities,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest propensity of each decision and the next, shape (n,); of one item twice its."""
    lengths, starts = np.diff(logged.offsets), logged.offsets[:-1]
    if not len(starts):
        return np.empty(0), np.empty(0)
    first = np.maximum.reduceat(logged.propensity, starts)
    row = np.repeat(np.arange(len(logged)), lengths)
    largest = np.flatnonzero(logged.propensity == first[row])
    rest = logged.propensity.copy()
    # One of each decision: others that are as large come next.
    rest[largest[np.unique(row[largest], return_index=True)[1]]] = -np.inf
    return first, np.where(lengths > 1, np.maximum.reduceat(rest, starts), first)
