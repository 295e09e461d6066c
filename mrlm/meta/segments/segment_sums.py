"""What each segment's decisions say of how the features count there, as sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.problem.tuning_problem import TuningProblem


@dataclass(frozen=True)
class SegmentSums:
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


def segment_sums(
    problem: TuningProblem, star: int, segment: NDArray[np.int64], segments: int
) -> SegmentSums:
    """Sums of the regression of the north star's residual on the shown item's features.

    residual = north star - q(shown) = level of the segment + delta_s . features + noise, where
    features are centred in their decision. The noise variance is that around the regression of all
    rounds, times the design effect of users (Kish, "Survey Sampling", 1965): the scores of a user's
    rounds are added before they are squared.

    Args:
        problem: rounds of the tune nights.
        star: column of the north star.
        segment: int64, shape (n,), in [0, segments).
        segments: S.
    """
    used = np.flatnonzero(~np.isnan(problem.rewards[:, star]))
    shown, code, weight = problem.shown[used], segment[used], problem.weight[used]
    size = np.maximum(np.bincount(code, weights=weight, minlength=segments), 1e-300)

    def less_level(values: Vector) -> Vector:
        mean = np.bincount(code, weights=weight * values, minlength=segments) / size
        return np.asarray(values - mean[code], np.float64)

    features = np.column_stack([less_level(x) for x in centred_features(problem)[shown].T])
    residual = less_level(problem.rewards[used, star] - problem.q[shown, star])
    weighed = weight[:, None] * features
    gram = np.stack([weighed[code == s].T @ features[code == s] for s in range(segments)])
    cross = np.stack([residual[code == s] @ weighed[code == s] for s in range(segments)])
    common = np.linalg.pinv(gram.sum(axis=0)) @ cross.sum(axis=0)
    scores = weighed * (residual - features @ common)[:, None]
    users, user = group(problem.cluster[used])
    by_user = np.stack([np.bincount(user, weights=s, minlength=len(users)) for s in scores.T])
    noise = float((by_user**2).sum()) / max(float(np.trace(gram.sum(axis=0))), 1e-300)
    return SegmentSums(gram / noise, cross / noise, np.bincount(code, minlength=segments))
