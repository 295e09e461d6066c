"""What a night of a trial would tell beside the nights that are there, by propensities alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.nights.mixtures import divergence, precision_by_logger
from mrlm.ope.verdict.certify import Thresholds

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.bandit_log.stored.logged_propensities import LoggedPropensities
    from mrlm.ope.batch import EvaluationBatch


def told_by_trial_night(
    log: BanditLog, challenger: EvaluationBatch, champion: NDArray[np.float64], share: float
) -> float:
    """What a night that the trial serves tells of the pair, over what these nights told together.

    Both by ``precision_by_logger``: how far each logger's choices lie from those that are compared,
    which no reward decides. A champion that chooses narrowly tells of a challenger a fiftieth of
    what the mixture of both would.

    Args:
        log: n decisions of the judged nights.
        challenger: the same with the challenger for target.
        champion: probability of every candidate under the champion, float64, shape (N,).
        share: of what is served that the challenger chooses on trial, in [0, 1).

    Returns:
        Above 0; 0 where there is no trial, or it cannot be told: a propensity is missing, or the
        pair is the same on all rows.
    """
    now = divergence(challenger, champion)
    if not share or now is None or not (now > 0).any():
        return 0.0
    served = (1.0 - share) * champion + share * challenger.target
    ahead = divergence(challenger, champion, served)
    if ahead is None:
        return 0.0
    nights = len(np.unique(log.night))
    told = precision_by_logger(log.policy_id, now).sum()
    return float(len(now) / nights / ahead.mean() / told)


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
    if first[~shown].sum() > Thresholds().max_unsupported_mass * len(logged):
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
