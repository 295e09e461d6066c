"""The lift by how features count for an objective, and how uncertain they leave it."""

from __future__ import annotations

import numpy as np

from mrlm.meta.problem.coefficient_sums import centred_features
from mrlm.meta.problem.lift_by_moments import LiftByMoments
from mrlm.meta.problem.paired_lift import PairedLift, chi_square
from mrlm.meta.problem.tuned_softmax import Slope, TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem


class CoefficientLift(LiftByMoments):
    """Lift of the tuned policy by a model: mean of sum_a (pi - champion)(a) (q + d . c)(a).

    c are the centred features, d ~ N(mean, covariance) what they count beyond the prediction q. The
    error is that of d alone: h' covariance h with h the mean of sum_a (pi - champion)(a) c(a). No
    reward is read: what rewards say is in d (``coefficient_sums``). Far from the champion it is
    much less noisy than importance weights, and no more right than its line.

    Attributes:
        name: of the objective.
        used: bool, shape (n,), all rounds.
        resolution: what counts as nothing, in the objective's unit.

    Args:
        problem: rounds on which the policies are compared.
        policy: of the problem.
        known: lift of the objective on these rounds, for its name, predictions and resolution.
        mean: float64, shape (f,).
        covariance: float64, shape (f, f).
    """

    def __init__(
        self,
        problem: TuningProblem,
        policy: TunedSoftmax,
        known: PairedLift,
        mean: Vector,
        covariance: Vector,
    ) -> None:
        super().__init__(policy)
        self.name, self.resolution = known.name, known.resolution
        self.used = np.ones(len(problem.propensity), np.bool_)
        self._rounds = len(problem.propensity)
        self._features = centred_features(problem)
        self._q = known.q + self._features @ mean
        self._champion, self._covariance = problem.champion, covariance
        self._smoothing = known.smoothing

    def lower_bound(self, point: Vector, z: float) -> tuple[float, Slope]:
        """See ``EstimatedLift``."""
        value, moved, variance = self._moments(self._policy.probabilities(point))
        error = float(np.sqrt(variance + self._smoothing))

        def slope() -> Vector:
            by_probability = self._q - z / error * (self._features @ (self._covariance @ moved))
            return self._policy.pull_back(point, by_probability / self._rounds)

        return value - z * error, slope

    def significance(self, point: Vector, basis: Vector) -> tuple[float, int, Vector]:
        """See ``EstimatedLift``."""
        rise = self._policy.pull_back(point, self._q / self._rounds)
        turned = np.stack(
            [self._policy.pull_back(point, c / self._rounds) for c in self._features.T]
        )
        spread = basis.T @ (turned.T @ self._covariance @ turned) @ basis
        return chi_square(basis.T @ rise, spread)

    def _moments(self, probabilities: Vector) -> tuple[float, Vector, float]:
        """Value, h of shape (f,), variance."""
        less = (probabilities - self._champion) / self._rounds
        moved = less @ self._features
        return float(less @ self._q), moved, float(moved @ self._covariance @ moved)
