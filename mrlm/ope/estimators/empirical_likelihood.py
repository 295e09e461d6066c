"""Empirical likelihood: the most likely distribution of rounds with mean weight 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties, ratio_scores
from mrlm.ope.estimators.root import decreasing_root
from mrlm.ope.scores import Scores

Batches = Callable[[], Iterable[EvaluationBatch]]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class EmpiricalLikelihood:
    """Weighted mean with the round probabilities 1 / (n D), D = 1 + multiplier (w - 1).

    The maximum-likelihood distribution of (w, r) with mean weight 1, by its one-dimensional dual:
    Owen (2001), section 3; Karampatziakis, Langford and Mineiro (2020), section 3. Where the
    observed weights leave the multiplier at an end of what the weight range allows, the missing
    mass takes the mean of the rest, which makes it a self-normalised mean; so does a log in which
    no weight, or every weight, is above 1. Its bias is of the order of 1 / n.

    Attributes:
        weight_range: least and largest weight that can occur; None is what the log shows.
        multiplier: by objective; None until it is fitted.
        slope: by objective, of the rewards' part on w - 1, which gives the right influence.

    Raises:
        ValueError: 1 is not inside the weight range, or its least weight is negative.
    """

    weight_range: tuple[float, float] | None = None
    multiplier: tuple[float, ...] | None = None
    slope: tuple[float, ...] | None = None
    name: ClassVar[str] = "empirical_likelihood"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = Properties(
        unbiased=False,
        covers_policy_value=True,
        on_policy_identity=True,
        shift_equivariant=True,
        scale_equivariant=True,
        constant_reward_zero_width=True,
    )

    def __post_init__(self) -> None:
        if (
            self.weight_range is not None
            and not 0 <= self.weight_range[0] < 1 < (self.weight_range[1])
        ):
            raise ValueError(
                f"the weight range must start at 0 or more and have 1 inside; got "
                f"{self.weight_range}"
            )

    def fit(self, batches: Batches) -> EmpiricalLikelihood:
        """The estimator with its multipliers and slopes, from about ten passes."""
        least, largest = self._range(batches)
        inside = (least < 1) & (largest > 1)
        low, high = np.zeros(len(least)), np.zeros(len(least))
        np.divide(-1.0, largest - 1, out=low, where=inside)
        np.divide(1.0, 1 - least, out=high, where=inside)

        def mean_weight(multiplier: Numbers) -> tuple[Numbers, Numbers]:
            """Dual gradient and its derivative."""
            value, slope = np.zeros(len(least)), np.zeros(len(least))
            for batch in batches():
                excess, ratio = _excess(batch, multiplier)
                value += (excess * ratio).sum(0)
                slope -= ((excess * ratio) ** 2).sum(0)
            return value, slope

        multiplier, interior = decreasing_root(mean_weight, low, high)
        slope = np.where(interior, _slope(batches, multiplier), 0.0)
        return replace(self, multiplier=tuple(multiplier.tolist()), slope=tuple(slope.tolist()))

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective."""
        if self.multiplier is None or self.slope is None:
            return self.fit(lambda: [batch])(batch)
        excess, ratio = _excess(batch, np.array(self.multiplier))
        denominator = batch.weight[:, None] * ratio
        numerator = denominator * batch.rewards - np.array(self.slope) * excess * ratio
        return ratio_scores(self, batch, numerator, denominator, fitted=True)

    def _range(self, batches: Batches) -> tuple[Numbers, Numbers]:
        """Least and largest weight by objective, each of shape (m,)."""
        ranges = [_weight_range(b) for b in batches()]
        least = np.min([low for low, _ in ranges], axis=0)
        largest = np.max([high for _, high in ranges], axis=0)
        if self.weight_range is None:
            return least, largest
        # A weight outside the stated range widens it: the log knows better.
        return np.minimum(least, self.weight_range[0]), np.maximum(largest, self.weight_range[1])


def _weight_range(batch: EvaluationBatch) -> tuple[Numbers, Numbers]:
    """Least and largest weight of a batch by objective, each of shape (m,)."""
    weight = batch.weight[:, None]
    low, high = np.where(batch.used, weight, np.inf), np.where(batch.used, weight, -np.inf)
    return low.min(0), high.max(0)


def _excess(batch: EvaluationBatch, multiplier: Numbers) -> tuple[Numbers, Numbers]:
    """Excess w - 1, 0 where the reward is unknown, and 1 / D, each of shape (n, m)."""
    excess = np.where(batch.used, batch.weight[:, None] - 1, 0.0)
    below = 1 + multiplier * excess
    # D is positive inside the range; at its very end rounding may say otherwise.
    return excess, 1 / np.maximum(below, np.finfo(np.float64).tiny ** 0.25)


def _slope(batches: Batches, multiplier: Numbers) -> Numbers:
    """Of w (r - value) / D on (w - 1) / D, shape (m,)."""
    sums = np.zeros((5, len(multiplier)))
    for b in batches():
        excess, ratio = _excess(b, multiplier)
        weight = np.where(b.used, b.weight[:, None] * ratio, 0.0)
        product = np.where(b.used, weight * b.rewards, 0.0)
        tilt = excess * ratio
        sums += [x.sum(0) for x in (weight, product, product * tilt, weight * tilt, tilt**2)]
    weight_sum, product_sum, cross, weight_cross, square = sums
    value, slope = np.zeros(len(multiplier)), np.zeros(len(multiplier))
    np.divide(product_sum, weight_sum, out=value, where=weight_sum > 0)
    np.divide(cross - value * weight_cross, square, out=slope, where=square > 0)
    return slope
