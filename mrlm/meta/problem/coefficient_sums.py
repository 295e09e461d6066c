"""What decisions say of how much more each feature counts than predictions say, as sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group
from mrlm.meta.problem.paired_lift import PairedLift
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.problem.tuning_problem import TuningProblem


@dataclass(frozen=True)
class CoefficientSums:
    """The log likelihood of a segment's coefficients d: d . pull - d' precision d / 2.

    Attributes:
        precision: float64, shape (S, f, f); 0 for a segment without a known reward.
        pull: float64, shape (S, f).
        rounds: int64, shape (S,), rounds with a known reward.
    """

    precision: Vector
    pull: Vector
    rounds: NDArray[np.int64]


def centred_features(problem: TuningProblem) -> Vector:
    """Features less their mean under the champion in each decision, float64, shape (N, f).

    A decision's level, which no weight changes, is then no part of what the coefficients say.
    """
    starts, lengths = problem.offsets[:-1], np.diff(problem.offsets)
    mean = np.add.reduceat(problem.champion[:, None] * problem.features, starts, axis=0)
    return np.asarray(problem.features - np.repeat(mean, lengths, axis=0), np.float64)


def coefficient_sums(
    problem: TuningProblem, lift: PairedLift, segment: NDArray[np.int64], segments: int
) -> CoefficientSums:
    """Sums of the regression of an objective's residual on the shown item's features.

    residual = reward - q(shown) = level of the segment + d_s . features + noise, where features are
    centred in their decision. The noise variance is that around the regression of all rounds, times
    the design effect of users (Kish, "Survey Sampling", 1965): the scores of a user's rounds are
    added before they are squared.

    Args:
        problem: rounds of the tune nights.
        lift: of the objective, on the same rounds.
        segment: int64, shape (n,), in [0, segments).
        segments: S.
    """
    used = np.flatnonzero(lift.used)
    code, weight, residual = segment[used], problem.weight[used], lift.residual[used]
    size = np.maximum(np.bincount(code, weights=weight, minlength=segments), 1e-300)

    def less_level(values: Vector) -> Vector:
        mean = np.bincount(code, weights=weight * values, minlength=segments) / size
        return np.asarray(values - mean[code], np.float64)

    shown = centred_features(problem)[problem.shown[used]]
    features, residual = np.column_stack([less_level(x) for x in shown.T]), less_level(residual)
    weighed = weight[:, None] * features
    rows = [np.flatnonzero(code == s) for s in range(segments)]
    gram = np.stack([weighed[own].T @ features[own] for own in rows])
    cross = np.stack([residual[own] @ weighed[own] for own in rows])
    every = gram.sum(axis=0)
    common = np.linalg.pinv(every, hermitian=True) @ cross.sum(axis=0)
    scores = weighed * (residual - features @ common)[:, None]
    users, user = group(problem.cluster[used])
    by_user = np.stack([np.bincount(user, weights=s, minlength=len(users)) for s in scores.T])
    noise = max(float((by_user**2).sum()), 1e-300) / max(float(np.trace(every)), 1e-300)
    return CoefficientSums(gram / noise, cross / noise, np.bincount(code, minlength=segments))
