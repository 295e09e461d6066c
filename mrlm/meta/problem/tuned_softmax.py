"""The tuned policy on the tune nights: probabilities, and gradients of what depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.tuning_problem import TuningProblem

Vector = NDArray[np.float64]
# A gradient, worked out when it is called: a line search asks for many values without one.
Slope = Callable[[], Vector]
# Logits this far apart have no exponential that is 0 or subnormal once the largest is taken off.
_NEAR = 600.0
# Points whose logits are held in memory at once.
_TOGETHER = 16


class TunedSoftmax:
    """P = softmax of kappa * log_anchor + theta . features in each candidate set, then one floor.

    A point is (kappa, theta), shape (1 + f,); ``champion_point`` is (1, 0). The last point is
    remembered, because objective and constraints are asked for the same one in turn.
    """

    def __init__(self, problem: TuningProblem) -> None:
        self.floor = problem.floor
        self.lengths = np.diff(problem.offsets)
        self._starts = problem.offsets[:-1]
        # Of every candidate set where all are alike, which most logs' are; else 0.
        self._each = int(self.lengths[0]) if np.ptp(self.lengths) == 0 else 0
        # By column: products with a point and with a vector of candidates read it in order.
        self._inputs = np.asfortranarray(np.column_stack([problem.log_anchor, problem.features]))
        self._log_champion = np.log(problem.champion)
        self._uniform = np.repeat(self.floor / self.lengths, self.lengths)
        self._point: bytes = b""
        self._soft = self._mixed = np.empty(0)

    @property
    def dimensions(self) -> int:
        """Length of a point, 1 + f."""
        return int(self._inputs.shape[1])

    @property
    def champion_point(self) -> Vector:
        """(1, 0): the anchor as it is."""
        point = np.zeros(self.dimensions)
        point[0] = 1.0
        return point

    def by_decision(self, values: Vector) -> Vector:
        """Sum over each candidate set, (N,) to (n,) or (N, k) to (n, k)."""
        if self._each and values.ndim == 1:
            # A product is several times as fast as ragged sums.
            total: Vector = values.reshape(-1, self._each) @ np.ones(self._each)
            return total
        return np.add.reduceat(values, self._starts, axis=0)

    def by_candidate(self, values: Vector) -> Vector:
        """Repeat each decision's value for its candidates, (n,) to (N,) or (n, k) to (N, k)."""
        return np.repeat(values, self.lengths, axis=0)

    def probabilities(self, point: Vector) -> Vector:
        """Probabilities with the floor, float64, shape (N,)."""
        key = point.tobytes()
        if key != self._point:
            logits = self._inputs @ point
            highest = float(logits.max())
            if highest - float(logits.min()) < _NEAR:
                logits -= highest
            else:
                logits -= self.by_candidate(np.maximum.reduceat(logits, self._starts))
            soft = np.exp(logits, out=logits)
            soft *= self.by_candidate(1.0 / self.by_decision(soft))
            self._soft, self._mixed = soft, (1 - self.floor) * soft + self._uniform
            self._point = key
        return self._mixed

    def probabilities_at(self, points: Vector) -> Iterator[Vector]:
        """Probabilities of many points (p, 1 + f), to seven digits: p arrays of shape (N,)."""
        inputs = self._inputs.astype(np.float32).T
        for first in range(0, len(points), _TOGETHER):
            for logits in points[first : first + _TOGETHER].astype(np.float32) @ inputs:
                logits -= self.by_candidate(np.maximum.reduceat(logits, self._starts))
                mixed: Vector = np.exp(logits, out=logits).astype(np.float64)
                mixed *= self.by_candidate((1 - self.floor) / self.by_decision(mixed))
                mixed += self._uniform
                yield mixed

    def pull_back(self, point: Vector, by_probability: Vector) -> Vector:
        """Gradient in the point, shape (1 + f,), from that in the probabilities, shape (N,).

        The softmax turns it into a covariance: dL/df = (1 - floor) P (u - E_P u).
        """
        self.probabilities(point)
        mean = self.by_decision(self._soft * by_probability)
        by_logit = self._soft * (by_probability - self.by_candidate(mean))
        gradient: Vector = (1 - self.floor) * (by_logit @ self._inputs)
        return gradient

    def centred_inputs(self, point: Vector, index: NDArray[np.int64]) -> Vector:
        """Inputs at one candidate a decision, less their mean under P, shape (n, 1 + f)."""
        self.probabilities(point)
        return self._inputs[index] - self.by_decision(self._soft[:, None] * self._inputs)

    def covariance_with(self, point: Vector, values: Vector) -> Vector:
        """Covariance of values (N,) with the inputs under P in each decision, shape (n, 1 + f)."""
        self.probabilities(point)
        weighted = self._soft * values
        mean = self.by_decision(self._soft[:, None] * self._inputs)
        return self.by_decision(weighted[:, None] * self._inputs) - (
            self.by_decision(weighted)[:, None] * mean
        )

    def divergence(self, point: Vector) -> tuple[float, Slope]:
        """Mean KL(policy || champion) over decisions, nats, and its gradient."""
        value, ratio = self._divergence_of(self.probabilities(point))
        return value, lambda: self.pull_back(point, (ratio + 1) / len(self.lengths))

    def divergence_of(self, probabilities: Vector) -> float:
        """The same of any policy of these rounds, probabilities of shape (N,)."""
        return self._divergence_of(probabilities)[0]

    def _divergence_of(self, probabilities: Vector) -> tuple[float, Vector]:
        # A probability of 0 without a floor adds nothing.
        ratio = np.log(np.maximum(probabilities, 1e-300)) - self._log_champion
        return float(probabilities @ ratio) / len(self.lengths), ratio

    def entropy(self, point: Vector) -> tuple[float, Slope]:
        """Mean entropy of the policy over decisions, nats, and its gradient."""
        value, logarithm = self._entropy_of(self.probabilities(point))
        return value, lambda: self.pull_back(point, -(logarithm + 1) / len(self.lengths))

    def entropy_of(self, probabilities: Vector) -> float:
        """The same of any policy of these rounds, probabilities of shape (N,)."""
        return self._entropy_of(probabilities)[0]

    def _entropy_of(self, probabilities: Vector) -> tuple[float, Vector]:
        logarithm = np.log(np.maximum(probabilities, 1e-300))
        return -float(probabilities @ logarithm) / len(self.lengths), logarithm
