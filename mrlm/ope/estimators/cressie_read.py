"""IPS under the Cressie-Read divergence of power 2: the weights' known mean as control variate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class CressieRead:
    """Mean of w r - slope (w - 1), the slope that of w r on w.

    Among distributions over the logged rounds with mean weight 1, the one nearest to the empirical
    distribution in squared distance gives this value; Karampatziakis, Langford and Mineiro (2020),
    section 4, without the constraint that no round's probability is negative. It is also DR whose
    q is the slope for every item. Its bias is of the order of 1 / n.

    Attributes:
        slope: by objective; None until it is fitted.
    """

    slope: tuple[float, ...] | None = None
    name: ClassVar[str] = "cressie_read"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = Properties(
        unbiased=False,
        covers_policy_value=True,
        on_policy_identity=True,
        shift_equivariant=True,
        scale_equivariant=True,
        constant_reward_zero_width=True,
    )

    def fit(self, batches: Callable[[], Iterable[EvaluationBatch]]) -> CressieRead:
        """The estimator with its slopes, from two passes."""
        rows, weight, product = (
            sum(column) for column in zip(*(_sums(b) for b in batches()), strict=True)
        )
        count = np.maximum(rows, 1)
        mean, product_mean = weight / count, product / count
        square, cross = (
            sum(column)
            for column in zip(*(_moments(b, mean, product_mean) for b in batches()), strict=True)
        )
        slope = np.zeros(len(square))
        # Weights that are all one number carry no information, but for what rounding leaves.
        varied = square > count * (1e-14 * mean) ** 2
        np.divide(cross, square, out=slope, where=varied)
        return replace(self, slope=tuple(slope.tolist()))

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective."""
        if self.slope is None:
            return self.fit(lambda: [batch])(batch)
        weight = batch.weight[:, None]
        numerator = weight * batch.rewards - np.array(self.slope) * (weight - 1)
        return ratio_scores(self, batch, numerator, fitted=True)


def _sums(
    batch: EvaluationBatch,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Rounds, sum of weights and sum of weight times reward, each of shape (m,)."""
    weight = np.where(batch.used, batch.weight[:, None], 0.0)
    return batch.used.sum(0), weight.sum(0), np.where(batch.used, weight * batch.rewards, 0).sum(0)


def _moments(
    batch: EvaluationBatch, mean: NDArray[np.float64], product_mean: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of squared weight deviations and of their products with those of w r, shape (m,)."""
    weight = batch.weight[:, None]
    centred = np.where(batch.used, weight - mean, 0.0)
    product = np.where(batch.used, weight * batch.rewards - product_mean, 0.0)
    return (centred**2).sum(0), (centred * product).sum(0)
