"""The users' influence on an estimate, and its covariance over objectives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.scores import ratio_influence
from mrlm.ope.state.state import EvaluationState


def user_influence(state: EvaluationState) -> NDArray[np.float64]:
    """First-order influence of each user on the estimate, float64, shape (C, m)."""
    return ratio_influence(
        state.numerator,
        state.denominator,
        state.numerator.sum(0),
        state.denominator.sum(0),
        state.signs,
    )


def users(state: EvaluationState) -> NDArray[np.bool_]:
    """Which users have rounds with a known reward, bool, shape (C, m)."""
    return state.rows > 0


def covariance(state: EvaluationState) -> NDArray[np.float64]:
    """Covariance of the estimates of all objectives, shape (m, m); NaN below two users.

    Clustered by user, times G / (G - 1) for G users (Cameron and Miller, 2015).
    """
    influence = user_influence(state)
    groups = users(state).sum(0)
    correction = np.full(len(groups), np.nan)
    np.divide(groups, groups - 1, out=correction, where=groups > 1)
    return influence.T @ influence * np.sqrt(np.outer(correction, correction))
