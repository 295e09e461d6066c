"""A lift whose error follows from the influences on it: what all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from mrlm.meta.problem.contract import BoundedLift
from mrlm.meta.problem.tuned_softmax import TunedSoftmax, Vector


class LiftByMoments(ABC):
    """A lift of policies on one set of rounds, see ``EstimatedLift``."""

    def __init__(self, policy: TunedSoftmax) -> None:
        self._policy = policy

    def lift(self, point: Vector, z: float) -> BoundedLift:
        """See ``EstimatedLift``."""
        return self.of_probabilities(self._policy.probabilities(point), z)

    def of_probabilities(self, probabilities: Vector, z: float) -> BoundedLift:
        """See ``EstimatedLift``."""
        value, _, variance = self._moments(probabilities)
        error = float(np.sqrt(variance))
        return BoundedLift(value, error, value - z * error)

    @abstractmethod
    def _moments(self, probabilities: Vector) -> tuple[float, Vector, float]:
        """Value, what its error is made of, and its variance."""
