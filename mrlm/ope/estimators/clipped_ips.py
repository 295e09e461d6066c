"""Clipped inverse propensity scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties
from mrlm.ope.estimators.shrinking import SHRUNKEN_IPS, check_at_least, score
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class ClippedIPS:
    """IPS with weights of at most ``clip``.

    Ionides (2008); Bottou et al. (2013). Its bias is -E[(w - clip)+ r].

    Attributes:
        clip: largest weight, at least 1.

    Raises:
        ValueError: the clip is below 1.
    """

    clip: float = 10.0
    name: ClassVar[str] = "clipped_ips"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = SHRUNKEN_IPS

    def __post_init__(self) -> None:
        check_at_least("clip", self.clip, 1.0)

    def weights(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weights, none above the clip."""
        return np.minimum(weight, self.clip)

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective."""
        return score(self, batch)
