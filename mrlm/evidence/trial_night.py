"""What a night of a trial would tell of a challenger, before any such night is in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.nights.logger_precision import precision_by_logger
from mrlm.ope.nights.mixtures import divergence

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
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
