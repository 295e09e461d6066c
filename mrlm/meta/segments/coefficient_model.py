"""Coefficients of all segments as draws around what their features say: empirical Bayes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlm.meta.problem.coefficient_sums import CoefficientSums
from mrlm.meta.problem.tuned_softmax import Vector

_ITERATIONS = 200
# Of the spread without one segment, from the spread with it.
_FEW_ITERATIONS = 20
# Relative change of the spread that ends the iterations.
_STILL = 1e-4


@dataclass(frozen=True)
class CoefficientModel:
    """d_s ~ N(A z_s, spread) for the coefficients of segment s, and what its decisions leave of it.

    Attributes:
        regression: A, float64, shape (f, p); z is 1 and the segment's features, or 1 alone.
        spread: covariance of a segment around what its features say, shape (f, f); 0 where all
            segments of the same features are taken to be alike.
        mean: posterior mean of each segment's coefficients, shape (S, f).
        covariance: posterior covariance of each, shape (S, f, f).
        uncertainty: covariance of A, its columns one below the other, shape (p f, p f).
        evidence: log likelihood of each segment with decisions by all others, nats.
        table: place of the features among those to choose from; None where it uses none.
    """

    regression: Vector
    spread: Vector
    mean: Vector
    covariance: Vector
    uncertainty: Vector
    evidence: Vector
    table: int | None = None

    @property
    def uses_features(self) -> bool:
        """Whether the segments' features say something of what segments want."""
        return self.table is not None

    def unseen(self, features: Vector) -> tuple[Vector, Vector]:
        """Mean (f,) and covariance (f, f) of a segment without a decision.

        Its features have shape (p - 1,); where the model uses none they may have any.
        """
        z = np.append(1.0, features) if self.uses_features else np.ones(1)
        return self.regression @ z, self.spread + _of_features(self.uncertainty, z)


def coefficient_model(sums: CoefficientSums, *features: Vector) -> CoefficientModel:
    """The simplest model that predicts segments as well as the best.

    Without features of the segments or with one table of them, with a spread around that or none.

    How well: the log likelihood of each segment by all others, summed. As well: within one standard
    error of the best, over segments (Breiman et al., "Classification and Regression Trees", 1984).
    Features that say nothing of what segments want, and a spread where there is none, add noise.

    Args:
        sums: of S segments; at least two have decisions.
        features: tables to choose from, the simplest first, each float64, shape (S, p - 1), in
            units of about 1.

    Raises:
        ValueError: fewer than two segments have a known reward.
    """
    if int((sums.rounds > 0).sum()) < 2:
        raise ValueError("segments are compared with each other: known rewards of two are needed")
    ones = np.ones((len(sums.rounds), 1))
    designs: list[tuple[int | None, Vector]] = [(None, ones)]
    designs += [(k, np.column_stack([ones, table])) for k, table in enumerate(features)]
    models = [
        replace(_fitted(sums, z, spreads=spreads), table=k)
        for k, z in designs
        for spreads in (False, True)
    ]
    best = max(models, key=lambda model: float(model.evidence.sum()))
    return next(model for model in models if _as_good(model.evidence, best.evidence))


def _as_good(evidence: Vector, best: Vector) -> bool:
    less = best - evidence
    return float(less.sum()) <= float(np.sqrt(len(less)) * less.std(ddof=1))


@dataclass(frozen=True)
class _Seen:
    """Segments with decisions: precision (S, f, f), pull (S, f), design (S, p)."""

    precision: Vector
    pull: Vector
    z: Vector

    def where(self, kept: NDArray[np.bool_]) -> _Seen:
        """Some of the segments."""
        return _Seen(self.precision[kept], self.pull[kept], self.z[kept])


def _fitted(sums: CoefficientSums, z: Vector, *, spreads: bool) -> CoefficientModel:
    every = _Seen(sums.precision, sums.pull, z)
    seen = every.where(sums.rounds > 0)
    f = seen.pull.shape[1]
    spread = np.zeros((f, f))
    if spreads:
        known = max(float(np.trace(seen.precision.mean(axis=0))), 1e-300)
        spread = _spread(seen, np.eye(f) * f / known, _ITERATIONS)
    regression, uncertainty = _regression(seen, spread)
    deviation, error = _deviations(every, spread, regression, uncertainty, around=False)
    return CoefficientModel(
        regression=regression,
        spread=spread,
        mean=z @ regression.T + deviation,
        covariance=(error + error.transpose(0, 2, 1)) / 2,
        uncertainty=uncertainty,
        evidence=_left_out(seen, spread),
    )


def _spread(seen: _Seen, spread: Vector, iterations: int) -> Vector:
    """Expectation-maximisation of the spread, with A solved exactly for each spread.

    Restricted likelihood: it allows for the error of A (Laird and Ware, "Random-effects models for
    longitudinal data", Biometrics 1982).
    """
    for _ in range(iterations):
        deviation, error = _deviations(seen, spread, *_regression(seen, spread), around=True)
        found = np.mean(deviation[:, :, None] * deviation[:, None, :] + error, axis=0)
        found = (found + found.T) / 2
        moved, size = float(np.abs(found - spread).max()), float(np.abs(found).max())
        spread = found
        if moved <= _STILL * size:
            break
    return spread


def _shrinkage(precision: Vector, spread: Vector) -> Vector:
    """(1 + precision spread)^-1 of each segment: needs no inverse of either."""
    return np.asarray(np.linalg.inv(np.eye(len(spread)) + precision @ spread), np.float64)


def _regression(seen: _Seen, spread: Vector) -> tuple[Vector, Vector]:
    """A by generalised least squares over segments, and the covariance of its columns."""
    information, towards = _normal_equations(seen, spread)
    return _solved(information.sum(axis=0), towards.sum(axis=0), seen.pull.shape[1])


def _normal_equations(seen: _Seen, spread: Vector) -> tuple[Vector, Vector]:
    """Of each segment: information (S, p f, p f) and right-hand side (S, p f) for A."""
    shrunk = _shrinkage(seen.precision, spread)
    certain, known = shrunk @ seen.precision, (shrunk @ seen.pull[:, :, None])[:, :, 0]
    s, size = len(seen.z), seen.z.shape[1] * seen.pull.shape[1]
    z = seen.z[:, :, None, None, None] * seen.z[:, None, None, :, None]
    information = (z * certain[:, None, :, None, :]).reshape(s, size, size)
    return information, (seen.z[:, :, None] * known[:, None, :]).reshape(s, size)


def _solved(information: Vector, towards: Vector, f: int) -> tuple[Vector, Vector]:
    covariance = np.linalg.pinv(information, hermitian=True)
    return (covariance @ towards).reshape(-1, f).T, np.asarray(covariance, np.float64)


def _of_features(uncertainty: Vector, z: Vector) -> Vector:
    """Covariance of A z, shape (f, f), or of each row of z (S, p), shape (S, f, f)."""
    p = z.shape[-1]
    f = len(uncertainty) // p
    pairs = (z[..., :, None] * z[..., None, :]).reshape(*z.shape[:-1], p * p)
    table = uncertainty.reshape(p, f, p, f).transpose(0, 2, 1, 3).reshape(p * p, f * f)
    return np.asarray((pairs @ table).reshape(*z.shape[:-1], f, f), np.float64)


def _deviations(
    seen: _Seen, spread: Vector, regression: Vector, uncertainty: Vector, *, around: bool
) -> tuple[Vector, Vector]:
    """Posterior mean of d_s - A z_s, (S, f), and a posterior covariance (S, f, f).

    The covariance allows for the error of A: it is that of d_s - A z_s with ``around``, else that
    of d_s, where the error of A counts the less the more the segment's own decisions tell.
    """
    shrunk = spread @ _shrinkage(seen.precision, spread)
    left = seen.pull[:, :, None] - seen.precision @ (seen.z @ regression.T)[:, :, None]
    gain = shrunk @ seen.precision
    share = gain if around else np.eye(len(spread)) - gain
    common = _of_features(uncertainty, seen.z)
    return (
        (shrunk @ left)[:, :, 0],
        shrunk + share @ common @ share.transpose(0, 2, 1),
    )


def _left_out(seen: _Seen, spread: Vector) -> Vector:
    """Log likelihood of each segment by A and spread of all others, nats, shape (S,)."""
    found = np.zeros(len(seen.z))
    for s in range(len(seen.z)):
        others = seen.where(np.arange(len(seen.z)) != s)
        beside = _spread(others, spread, _FEW_ITERATIONS) if spread.any() else spread
        regression, uncertainty = _regression(others, beside)
        z, precision, pull = seen.z[s], seen.precision[s], seen.pull[s]
        around, mean = beside + _of_features(uncertainty, z), regression @ z
        factor = np.eye(len(around)) + precision @ around
        left = pull - precision @ mean
        found[s] = mean @ pull - mean @ precision @ mean / 2
        found[s] += left @ around @ np.linalg.solve(factor, left) / 2
        found[s] -= float(np.linalg.slogdet(factor)[1]) / 2
    return found
