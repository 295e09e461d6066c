"""Scores of the slate estimators that weight the reward of each slot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.grouped.grouped import grouped_scores, round_sum
from mrlm.ope.scores import Scores
from mrlm.ope.slates.batch import SlateBatch


def weighted(
    estimator: str,
    covers_policy_value: bool,
    batch: SlateBatch,
    slot_weight: NDArray[np.float64],
    slate_weight: NDArray[np.float64],
    normaliser: NDArray[np.float64] | None,
) -> Scores:
    """Sum over slots of weight times reward, over 1 or over a normaliser of mean 1.

    Args:
        estimator: name of the estimator.
        covers_policy_value: see ``Scores``.
        batch: n slates with S slots.
        slot_weight: float64, shape (S,).
        slate_weight: float64, shape (n,), of mean 1, for the diagnostics.
        normaliser: float64, shape (n,), of mean 1; None for the plain form.
    """
    numerator = round_sum(slot_weight[:, None] * batch.rewards, batch.offsets)
    below = np.ones(len(batch)) if normaliser is None else normaliser
    return grouped_scores(
        estimator,
        covers_policy_value,
        batch,
        numerator[:, :, None],
        below[:, None, None],
        slate_weight,
    )


def slot_mean(values: NDArray[np.float64], batch: SlateBatch) -> NDArray[np.float64]:
    """Mean over the slots of each slate, shape (n,)."""
    return round_sum(values, batch.offsets) / batch.lengths
