"""Sub-Gaussian IPS and DR: weights drawn smoothly towards 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.contract import Properties
from mrlm.ope.estimators.shrinking import SHRUNKEN_DR, SHRUNKEN_IPS, check_at_least, score
from mrlm.ope.scores import Scores


@dataclass(frozen=True)
class SubGaussianIPS:
    """IPS with the weights w / (1 - strength + strength * w).

    Metelli, Russo and Restelli (2021), equation 4 with s = -1: the weighted harmonic mean of the
    weight and 1, at most 1 / strength.

    Attributes:
        strength: 0 is IPS, 1 makes every positive weight 1.

    Raises:
        ValueError: the strength is not in [0, 1].
    """

    strength: float = 0.01
    name: ClassVar[str] = "sub_gaussian_ips"
    needs_q: ClassVar[bool] = False
    properties: ClassVar[Properties] = SHRUNKEN_IPS

    def __post_init__(self) -> None:
        _check(self.strength)

    def weights(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The harmonic means."""
        return _harmonic(weight, self.strength)

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective."""
        return score(self, batch)


@dataclass(frozen=True)
class SubGaussianDR:
    """DR with the weights of ``SubGaussianIPS``.

    Metelli, Russo and Restelli (2021), section 6.

    Attributes:
        strength: 0 is DR, 1 makes every positive weight 1.

    Raises:
        ValueError: the strength is not in [0, 1].
    """

    strength: float = 0.01
    name: ClassVar[str] = "sub_gaussian_dr"
    needs_q: ClassVar[bool] = True
    properties: ClassVar[Properties] = SHRUNKEN_DR

    def __post_init__(self) -> None:
        _check(self.strength)

    def weights(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The harmonic means."""
        return _harmonic(weight, self.strength)

    def __call__(self, batch: EvaluationBatch) -> Scores:
        """Scores of every round and objective.

        Raises:
            ValueError: the batch has no predictions.
        """
        return score(self, batch)


def _check(strength: float) -> None:
    check_at_least("strength", strength, 0.0)
    if strength > 1:
        raise ValueError(f"strength must be at most 1; got {strength}")


def _harmonic(weight: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    below = 1 - strength + strength * weight
    out: NDArray[np.float64] = np.zeros_like(weight)
    # 0 / 0 at strength 1: a weight of 0 stays 0.
    np.divide(weight, below, out=out, where=below > 0)
    return out
