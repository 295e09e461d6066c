"""Switch-DR: the doubly robust estimator where weights are moderate, else the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties
from mrlm.ope.estimators.shrinking import SHRUNKEN_DR, check_at_least, score
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class SwitchDR:
    """DR whose residuals count only where the weight is at most ``threshold``.

    Wang, Agarwal and Dudik (2017), equation 8 with DR in place of IPS.

    Attributes:
        threshold: largest weight that is used; infinity is DR.

    Raises:
        ValueError: the threshold is negative.
    """

    threshold: float = 10.0
    name: ClassVar[str] = "switch_dr"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[Properties] = SHRUNKEN_DR

    def __post_init__(self) -> None:
        check_at_least("threshold", self.threshold, 0.0)

    def weights(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weights, 0 above the threshold."""
        return np.where(weight <= self.threshold, weight, 0.0)

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        return score(self, batch)
