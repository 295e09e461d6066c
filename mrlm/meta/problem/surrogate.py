"""What early rewards say of a north star that comes late."""

from __future__ import annotations

import numpy as np

from mrlm.bandit_log.users import group
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.problem.tuning_problem import TuningProblem

_FOLDS = 2
# Rounds' worth of evidence that an early reward says nothing.
_RIDGE = 1.0
# An early reward is read where at least this share of the open rounds know it.
_KNOWN = 0.5


def surrogate(problem: TuningProblem, star: int) -> Vector | None:
    """The north star as far as rewards that came earlier tell it, for known and open rounds.

    q(shown) + b . (rewards - their predictions): what surprises in the early rewards, by the
    coefficients of a ridge regression of the star's residual on theirs. It is fitted on the rounds
    whose north star is known, each half of the users on the other half; open rounds are spoken of
    in the same way, so that the mean over either set of rounds has one expectation.

    Args:
        problem: with open rounds.
        star: column of the north star.

    Returns:
        float64, shape (n,), NaN where the north star is neither known nor open, or an early reward
        is missing; None where no early reward is known, or too few users know the star to fit.
    """
    known = ~np.isnan(problem.rewards[:, star])
    surprise = problem.rewards - problem.q[problem.shown]
    read = (~np.isnan(surprise[problem.open])).mean(axis=0) >= _KNOWN
    read[star] = False
    if not read.any():
        return None
    early, late = surprise[:, read], surprise[:, star]
    complete = ~np.isnan(early).any(axis=1) & (known | problem.open)
    early = early / np.maximum(early[complete].std(axis=0), 1e-12)
    # By the order of users, which a stored problem keeps without their names.
    fold = group(problem.cluster)[1] % _FOLDS
    found = np.full(len(complete), np.nan)
    for one in range(_FOLDS):
        fit, told = complete & known & (fold != one), complete & (fold == one)
        if int(fit.sum()) <= int(read.sum()):
            return None
        gram = early[fit].T @ early[fit] + _RIDGE * np.eye(early.shape[1])
        coefficients = np.linalg.solve(gram, early[fit].T @ late[fit])
        found[told] = problem.q[problem.shown[told], star] + early[told] @ coefficients
    return found
