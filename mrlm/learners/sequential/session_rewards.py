"""Rewards as learners of sessions add them up: each decision's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.learners.inputs import LearningSample, logged_rewards


def session_rewards(sample: LearningSample) -> NDArray[np.float64]:
    """Rewards of the shown items in the objectives' scales, not centred, float64, shape (n, m).

    Where an objective is a return, what the decision brought by itself: a learner that adds up what
    follows would count it twice. One that is not known has its expectation, of a return the mean.
    """
    of, own = sample.scalarisation, sample.log.own
    rewards = logged_rewards(sample) + of.mean / of.scale
    if own is None:
        return rewards
    for j in (j for j, o in enumerate(of.objectives) if o.is_return):
        known = own.known[:, j]
        mean = known[np.isfinite(known)].mean() if np.isfinite(known).any() else 0.0
        rewards[:, j] = np.nan_to_num(known, nan=mean) / of.scale[j]
    return rewards
