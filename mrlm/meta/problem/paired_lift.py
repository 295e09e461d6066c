"""The paired doubly robust lift of one objective, its lower bound and its gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group
from mrlm.meta.problem.lift_by_moments import LiftByMoments
from mrlm.meta.problem.tuned_softmax import Slope, TunedSoftmax, Vector
from mrlm.meta.problem.tuning_problem import TuningProblem


class PairedLift(LiftByMoments):
    """Lift of the tuned policy over the champion in one objective, on the same rounds.

    Round score: sum_a pi(a) q(a) + min(pi(shown) / propensity, clip) * (reward - q(shown)), less
    the same of the champion. Rounds of unknown reward are not used. The variance is that of a mean
    over decisions clustered by user, with G / (G - 1).

    Attributes:
        name: of the objective.
        used: bool, shape (n,), the rounds whose reward is known.
        weight: float64, shape (n,), of each round in every mean; 0 where the reward is unknown.
        resolution: standard deviation of the champion's mean over these rounds, in the
            objective's unit.
        q: float64, shape (N,), predicted reward.
        residual: float64, shape (n,), reward less prediction; 0 where the reward is unknown.
        correction: G / (G - 1).
        smoothing: what is added to the variance, which is 0 at the champion, so that its root is
            smooth there.

    Raises:
        ValueError: fewer than two users have a known reward.
    """

    def __init__(
        self, problem: TuningProblem, policy: TunedSoftmax, reward: Vector, q: Vector, name: str
    ) -> None:
        super().__init__(policy)
        self.name = name
        self.q = np.ascontiguousarray(q)
        self._shown = problem.shown
        self._propensity = problem.propensity
        self._clip = problem.weight_clip
        self.used = ~np.isnan(reward)
        self.weight = np.where(self.used, problem.weight, 0.0)
        self.residual = np.where(self.used, reward - q[problem.shown], 0.0)
        users, code = group(problem.cluster)
        self._code: NDArray[np.int64] = code
        self._count = np.bincount(code, weights=self.weight, minlength=len(users))
        self._rows = float(self.weight.sum())
        groups = int((self._count > 0).sum())
        if groups < 2:
            raise ValueError(
                f"objective {name}: a lift needs known rewards of at least two users; "
                f"{groups} have any on the tune nights"
            )
        self.correction = groups / (groups - 1)
        self._champion = self._scores(problem.champion)
        spread = float(self._champion[self.used].std()) or 1.0
        self.resolution = spread / np.sqrt(int(self.used.sum()))
        self.smoothing = (1e-6 * self.resolution) ** 2

    def _scores(self, probabilities: Vector) -> Vector:
        direct = self._policy.by_decision(probabilities * self.q)
        weight = np.minimum(probabilities[self._shown] / self._propensity, self._clip)
        return np.where(self.used, direct + weight * self.residual, 0.0)

    def rounds(self, point: Vector) -> Vector:
        """Each round's score less the champion's, shape (n,); 0 where the reward is unknown."""
        return self._scores(self._policy.probabilities(point)) - self._champion

    def gradients(self, point: Vector) -> Vector:
        """Gradient of each round's score in the point, shape (n, 1 + f)."""
        policy = self._policy
        shown = policy.probabilities(point)[self._shown]
        kept = (shown / self._propensity <= self._clip) * self.residual / self._propensity
        # The part of the shown item's probability that the floor does not fix.
        free = shown - policy.floor / policy.lengths
        rows = (1 - policy.floor) * policy.covariance_with(point, self.q)
        rows += (kept * free)[:, None] * policy.centred_inputs(point, self._shown)
        return np.where(self.used[:, None], rows, 0.0)

    def mean(self, probabilities: Vector) -> tuple[float, Vector]:
        """The estimate for probabilities of shape (N,), and each user's influence, shape (users,).

        Users are those of the problem in order; one without a known reward has no influence.
        """
        paired = self.weight * (self._scores(probabilities) - self._champion)
        value = float(paired.sum()) / self._rows
        total = np.bincount(self._code, weights=paired, minlength=len(self._count))
        return value, (total - value * self._count) / self._rows

    def of_groups(
        self, probabilities: Vector, code: NDArray[np.int64], groups: int
    ) -> tuple[Vector, Vector]:
        """The lift of each group of rounds alone, and its standard error, each of shape (groups,).

        NaN where fewer than two users have a known reward.

        Args:
            probabilities: of any policy of these rounds, shape (N,).
            code: int64, shape (n, k), in [0, groups); a group is in one column alone.
            groups: how many there are.
        """
        paired = self.weight * (self._scores(probabilities) - self._champion)
        value, variance = np.full(groups, np.nan), np.full(groups, np.nan)
        users = len(self._count)
        for column in code.T:
            cell, place = np.unique(column * users + self._code, return_inverse=True)
            total, size = np.bincount(place, paired), np.bincount(place, self.weight)
            cell, total, size = (found[size > 0] for found in (cell // users, total, size))
            rows = np.bincount(cell, size, groups)
            own = np.flatnonzero(np.bincount(cell, minlength=groups) > 1)
            value[own] = (np.bincount(cell, total, groups) / np.maximum(rows, 1e-300))[own]
            influence = (total - value[cell] * size) / rows[cell]
            count = np.bincount(cell, minlength=groups)[own]
            variance[own] = np.bincount(cell, influence**2, groups)[own] * count / (count - 1)
        return value, np.sqrt(variance)

    def _moments(self, probabilities: Vector) -> tuple[float, Vector, float]:
        """Mean, influence of each user, variance."""
        value, influence = self.mean(probabilities)
        return value, influence, self.correction * float(influence @ influence)

    def lower_bound(self, point: Vector, z: float) -> tuple[float, Slope]:
        """Value - z * standard error, and its gradient in the point, shape (1 + f,)."""
        value, influence, variance = self._moments(self._policy.probabilities(point))
        error = float(np.sqrt(variance + self.smoothing))

        def slope() -> Vector:
            pulled = self.by_probability(point, influence, z * self.correction / error)
            return self._policy.pull_back(point, pulled)

        return value - z * error, slope

    def by_probability(self, point: Vector, influence: Vector, caution: float) -> Vector:
        """Gradient in the probabilities, shape (N,), of the mean less an error.

        Args:
            point: where it is taken.
            influence: of each user on the whole estimate, whose error is the root of its sum of
                squares, shape (users,); this mean is a term of that estimate.
            caution: what the gradient of the influences counts, z * correction / error.
        """
        by_value = 1.0 - caution * -float(influence @ self._count) / self._rows
        by_score = by_value - caution * influence[self._code]
        by_score = self.weight * by_score / self._rows
        weight = self._policy.probabilities(point)[self._shown] / self._propensity
        found = self._policy.by_candidate(by_score) * self.q
        kept = weight <= self._clip
        found[self._shown] += kept * by_score * self.residual / self._propensity
        return found

    def mean_gradient(self, point: Vector, basis: Vector) -> tuple[Vector, Vector]:
        """Mean gradient at a point in directions (1 + f, k), shape (k,), and users' influences.

        The influences on it have shape (users, k).
        """
        return self._mean(self.gradients(point) @ basis, self.weight)

    def significance(self, point: Vector, basis: Vector) -> tuple[float, int, Vector]:
        """See ``EstimatedLift``."""
        mean, influence = self.mean_gradient(point, basis)
        return chi_square(mean, self.correction * influence.T @ influence)

    def differences(
        self,
        point: Vector,
        basis: Vector,
        pairs: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]],
    ) -> list[tuple[float, int]]:
        """Tests that the mean gradient of some rounds is that of others.

        Args:
            point: where the gradients are taken.
            basis: directions, shape (1 + f, k).
            pairs: of disjoint sets of rounds, each bool, shape (n,), with a known reward in it.

        Returns:
            For each pair T^2, chi-square with ``rank`` degrees of freedom where they are alike, and
            the rank.
        """
        rows = self.gradients(point) @ basis
        found = []
        for pair in pairs:
            (one, mine), (other, theirs) = (
                self._mean(rows, np.where(side, self.weight, 0.0)) for side in pair
            )
            # Of one user both sides' influences are added: they may be of the same user.
            influence = mine - theirs
            covariance = self.correction * influence.T @ influence
            statistic, rank, _ = chi_square(one - other, covariance)
            found.append((statistic, rank))
        return found

    def _mean(self, rows: Vector, weight: Vector) -> tuple[Vector, Vector]:
        """Weighted mean of rows (n, k), and each user's influence on it, shape (users, k)."""
        size, users = float(weight.sum()), len(self._count)
        mean = weight @ rows / size
        centred = weight[:, None] * (rows - mean) / size
        influence = [np.bincount(self._code, weights=c, minlength=users) for c in centred.T]
        return mean, np.asarray(np.column_stack(influence), np.float64)


def chi_square(mean: Vector, covariance: Vector) -> tuple[float, int, Vector]:
    """The form mean' covariance^+ mean, the rank of the covariance, and covariance^+ mean."""
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = 1.0
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    spanned = values > 1e-8 * max(float(values[-1]), 1e-300)
    root = vectors[:, spanned] / np.sqrt(values[spanned])
    projected = root.T @ (mean / scale)
    return float(projected @ projected), int(spanned.sum()), (root @ projected) / scale
