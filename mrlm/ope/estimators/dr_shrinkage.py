"""DR with optimistic and with pessimistic shrinkage of the weights."""

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
class DROptimistic:
    """DR with the weights strength * w / (w^2 + strength).

    Su, Dimakopoulou, Krishnamurthy and Dudik (2020), section 4.1. A weight far above the root of
    the strength is shrunk towards 0.

    Attributes:
        strength: 0 is the direct method, infinity is DR.

    Raises:
        ValueError: the strength is negative.
    """

    strength: float = 100.0
    name: ClassVar[str] = "dr_os"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[Properties] = SHRUNKEN_DR

    def __post_init__(self) -> None:
        check_at_least("strength", self.strength, 0.0)

    def weights(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The shrunken weights."""
        if np.isinf(self.strength):
            return weight
        square = weight**2 + self.strength
        out: NDArray[np.float64] = np.zeros_like(weight)
        np.divide(self.strength * weight, square, out=out, where=square > 0)
        return out

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        return score(self, batch)


@dataclass(frozen=True)
class DRPessimistic:
    """DR with weights of at most ``clip``.

    Su, Dimakopoulou, Krishnamurthy and Dudik (2020), section 4.2.

    Attributes:
        clip: largest weight; 0 is the direct method, infinity is DR.

    Raises:
        ValueError: the clip is negative.
    """

    clip: float = 10.0
    name: ClassVar[str] = "dr_ps"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[Properties] = SHRUNKEN_DR

    def __post_init__(self) -> None:
        check_at_least("clip", self.clip, 0.0)

    def weights(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weights, none above the clip."""
        return np.minimum(weight, self.clip)

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        return score(self, batch)
