"""Shrinkage, clip and threshold parameters chosen by SLOPE in one pass over the candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.estimators.shrinking import ShrinkingEstimator, parts
from mrlm.ope.selection import slope
from mrlm.ope.users import group


def tune(
    batch: EvaluationBatch, family: Sequence[ShrinkingEstimator], level: float = 0.95
) -> dict[str, ShrinkingEstimator]:
    """The member chosen for each objective, for this policy; nothing is kept between calls.

    Args:
        batch: rounds of users, or nights, on which the chosen member is not judged.
        family: one kind of estimator, from the least shrinkage to the most.
        level: two-sided level of the intervals that SLOPE compares.

    Raises:
        ValueError: the family is empty or of several kinds, fewer than two users have a known
            reward, or the batch has no predictions and the family needs them.
    """
    from scipy.special import ndtri

    value, error = sweep(batch, family)
    chosen = slope(value, float(ndtri((1 + level) / 2)) * error)
    return {name: family[i] for name, i in zip(batch.objectives, chosen.tolist(), strict=True)}


def sweep(
    batch: EvaluationBatch, family: Sequence[ShrinkingEstimator]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and user-clustered standard errors of all members, each float64, shape (k, m).

    Both are those of the members' own scores. The expectations over candidates do not depend on the
    parameter and are taken once; each member costs one scan of the n rounds.

    Raises:
        ValueError: as for ``tune``.
    """
    if len({type(e) for e in family}) != 1:
        raise ValueError("tuning needs one or more members of one kind of estimator")
    offset, residual = parts(batch, family[0].needs_q)
    _, user = group(batch.cluster)
    value = np.full((len(family), len(batch.objectives)), np.nan)
    error = value.copy()
    for j in range(len(batch.objectives)):
        used = batch.used[:, j]
        a, b, weight = offset[used, j], residual[used, j], batch.weight[used]
        present, code = np.unique(user[used], return_inverse=True)
        users, rows = len(present), len(code)
        if users < 2:
            raise ValueError(
                f"{batch.objectives[j]}: tuning needs two users with a known reward; got {users}"
            )
        counts = np.bincount(code, minlength=users)
        for i, member in enumerate(family):
            score = a + member.weights(weight) * b
            value[i, j] = score.mean()
            influence = np.bincount(code, weights=score, minlength=users) - value[i, j] * counts
            error[i, j] = np.sqrt(users / (users - 1) * (influence @ influence)) / rows
    return value, error
