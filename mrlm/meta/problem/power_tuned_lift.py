"""The lift of a north star that comes late: known rounds, and a surrogate on open ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.lift_by_moments import LiftByMoments
from mrlm.meta.problem.paired_lift import PairedLift, chi_square
from mrlm.meta.problem.surrogate import surrogate
from mrlm.meta.problem.tuned_softmax import Slope, TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem


class PowerTunedLift(LiftByMoments):
    """mean_M(y) + share * (mean_N(g) - mean_M(g)): M known rounds, N open ones, a surrogate g.

    Each mean is a ``PairedLift``. Whatever the surrogate is worth the estimate has the expectation
    of the first mean, as long as g relates to decisions on open nights as on known ones. The share
    is the one with the least variance (Angelopoulos, Duchi and Zrnic, "PPI++: Efficient
    prediction-powered inference", 2023; in surveys the difference estimator), cut to [0, 1]. It is
    that of the gradient at the champion, summed over coordinates each in units of its standard
    error, so that it depends on no point and the lift is as linear in the point as before. The
    variance is clustered by user over all three means: the same users may be in each.

    Attributes:
        name: of the objective.
        used: bool, shape (n,), the rounds whose north star is known.
        resolution: see ``PairedLift``, of the known rounds.
        share: what the surrogate counts, in [0, 1].
    """

    def __init__(
        self, policy: TunedSoftmax, known: PairedLift, early: PairedLift, fresh: PairedLift
    ) -> None:
        super().__init__(policy)
        self.name, self.used, self.resolution = known.name, known.used, known.resolution
        self._known = known
        self.share = _best_share(policy, known, early, fresh)
        self._means = ((1.0, known), (-self.share, early), (self.share, fresh))

    def lower_bound(self, point: Vector, z: float) -> tuple[float, Slope]:
        """See ``EstimatedLift``."""
        value, influence, variance = self._moments(self._policy.probabilities(point))
        error = float(np.sqrt(variance + self._known.smoothing))
        caution = z * self._known.correction / error

        def slope() -> Vector:
            pulled = sum(c * m.by_probability(point, influence, caution) for c, m in self._means)
            return self._policy.pull_back(point, np.asarray(pulled))

        return value - z * error, slope

    def significance(self, point: Vector, basis: Vector) -> tuple[float, int, Vector]:
        """See ``EstimatedLift``."""
        parts = [(c, mean.mean_gradient(point, basis)) for c, mean in self._means]
        mean = np.sum([c * found for c, (found, _) in parts], axis=0)
        influence = np.sum([c * by_user for c, (_, by_user) in parts], axis=0)
        return chi_square(mean, self._known.correction * influence.T @ influence)

    def _moments(self, probabilities: Vector) -> tuple[float, Vector, float]:
        """Value, influence of each user, variance."""
        parts = [(c, mean.mean(probabilities)) for c, mean in self._means]
        value = sum(c * found for c, (found, _) in parts)
        influence = np.sum([c * by_user for c, (_, by_user) in parts], axis=0)
        return value, influence, self._known.correction * float(influence @ influence)


def power_tuned(
    problem: TuningProblem, policy: TunedSoftmax, star: int, known: PairedLift
) -> PowerTunedLift | None:
    """The lift with what open rounds add; None where they add nothing.

    Args:
        problem: with open rounds.
        policy: of the problem.
        star: column of the north star.
        known: its lift on the rounds where it is known.
    """
    told = surrogate(problem, star)
    if told is None:
        return None

    def mean(rounds: NDArray[np.bool_]) -> PairedLift:
        reward = np.where(rounds, told, np.nan)
        return PairedLift(problem, policy, reward, problem.q[:, star], known.name)

    return PowerTunedLift(policy, known, mean(known.used), mean(problem.open))


def _best_share(
    policy: TunedSoftmax, known: PairedLift, early: PairedLift, fresh: PairedLift
) -> float:
    point, basis = policy.champion_point, np.eye(policy.dimensions)
    own, less, more = (mean.mean_gradient(point, basis)[1] for mean in (known, early, fresh))
    scale = np.sqrt((own**2).sum(axis=0))
    kept = scale > 0
    own, added = own[:, kept] / scale[kept], (more - less)[:, kept] / scale[kept]
    size = float((added**2).sum())
    return float(np.clip(-float((own * added).sum()) / size, 0.0, 1.0)) if size > 0 else 0.0
