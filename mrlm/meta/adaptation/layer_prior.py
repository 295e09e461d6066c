"""How far coefficients of one kind spread, learnt by marginal likelihood: the prior of new ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags

from mrlm.behaviour.uncertainty.last_layer import LastLayer, Vector

_ITERATIONS = 100
# Largest change of a standard deviation, in those of the targets, that ends the iterations.
_STILL = 1e-3
# A spread of this share of the targets' variance is none.
_LEAST = 1e-9


@dataclass(frozen=True)
class LayerPrior:
    """target = level + coefficients · features + the user's own level + noise.

    Coefficients of a block are drawn around 0 with the block's variance, users' levels with theirs.

    Attributes:
        level: mean of all targets.
        layer: the coefficients of what was seen, given all rows.
        spread: variance of a coefficient by block, float64, shape (blocks,): next to 0
            where a block is of no use. It is the prior of a coefficient that is met tomorrow.
        user_mean: posterior mean of each user's level, float64, shape (U,).
        user_variance: posterior variance of each, shape (U,).
        user_spread: variance of users' levels: the prior of a user who comes first tomorrow.
        noise: variance of a target around all that.
    """

    level: float
    layer: LastLayer
    spread: Vector
    user_mean: Vector
    user_variance: Vector
    user_spread: float
    noise: float


def layer_prior(
    features: csr_matrix, block: NDArray[np.int64], user: NDArray[np.int64], targets: Vector
) -> LayerPrior:
    """The spreads under which the targets are most likely, and the coefficients given them.

    Fixed-point iterations of the marginal likelihood (MacKay, "Bayesian interpolation", Neural
    Computation 1992). Users are solved out exactly, so that f alone is cubed in the cost.

    Args:
        features: shape (n, f).
        block: block of each feature, shape (f,), in [0, blocks).
        user: code of each row's user, shape (n,), in [0, U).
        targets: float64, shape (n,).

    Raises:
        ValueError: all targets are the same, or there are none.
    """
    if len(targets) == 0 or not targets.std() > 0:
        raise ValueError("there is nothing to learn where all targets are the same")
    level, total = float(targets.mean()), float(targets.var())
    sums = _Sums.of(features, block, user, targets - level)
    spread = np.full(sums.blocks + 1, 0.1 * total)
    noise = total
    for _ in range(_ITERATIONS):
        solved = _solved(sums, spread, noise)
        before = np.sqrt(np.append(spread, noise))
        spread, noise = solved.likelier(sums, spread)
        if np.abs(np.sqrt(np.append(spread, noise)) - before).max() <= _STILL * np.sqrt(total):
            break
    solved = _solved(sums, spread, noise)
    return LayerPrior(
        level=level,
        layer=LastLayer(solved.mean, solved.covariance),
        spread=spread[:-1],
        user_mean=solved.user_mean,
        user_variance=solved.user_variance,
        user_spread=float(spread[-1]),
        noise=noise,
    )


def layer_under(
    prior: LayerPrior,
    features: csr_matrix,
    block: NDArray[np.int64],
    user: NDArray[np.int64],
    targets: Vector,
) -> LastLayer:
    """Coefficients given some rows, under spreads that are known already: one solve.

    Args:
        prior: of rows with the same blocks.
        features: shape (n, f).
        block: block of each feature, shape (f,), in [0, blocks).
        user: code of each row's user, shape (n,), in [0, U).
        targets: float64, shape (n,).
    """
    sums = _Sums.of(features, block, user, targets - prior.level)
    solved = _solved(sums, np.append(prior.spread, prior.user_spread), prior.noise)
    return LastLayer(solved.mean, solved.covariance)


@dataclass(frozen=True)
class _Sums:
    """What the rows are in sums: of features, of users, and of both."""

    gram: csr_matrix
    cross: Vector
    by_user: csr_matrix
    rows: Vector
    user_sum: Vector
    square: float
    block: NDArray[np.int64]
    count: int

    @classmethod
    def of(
        cls, features: csr_matrix, block: NDArray[np.int64], user: NDArray[np.int64], left: Vector
    ) -> _Sums:
        n = len(left)
        member = csr_matrix((np.ones(n), (user, np.arange(n))))
        return cls(
            gram=(features.T @ features).tocsr(),
            cross=np.asarray(features.T @ left),
            by_user=(member @ features).tocsr(),
            rows=np.bincount(user).astype(np.float64),
            user_sum=np.bincount(user, weights=left).astype(np.float64),
            square=float(left @ left),
            block=block,
            count=n,
        )

    @property
    def blocks(self) -> int:
        return int(self.block.max()) + 1


@dataclass(frozen=True)
class _Solved:
    """Coefficients and users' levels at given spreads and noise."""

    mean: Vector
    covariance: Vector
    user_mean: Vector
    user_variance: Vector

    def likelier(self, sums: _Sums, spread: Vector) -> tuple[Vector, float]:
        """Spreads, the users' last, and noise of the next iteration."""
        own = np.diag(self.covariance)
        found = np.zeros(sums.blocks + 1)
        told, least = 0.0, _LEAST * sums.square / sums.count
        for b in range(sums.blocks + 1):
            users = b == sums.blocks
            mean = self.user_mean if users else self.mean[sums.block == b]
            variance = self.user_variance if users else own[sums.block == b]
            # Of how many coefficients the rows tell rather than the prior.
            known = len(mean) - float(variance.sum()) / spread[b]
            found[b] = max(float(mean @ mean) / max(known, 1e-9), least)
            told += known
        fit = float(
            sums.square
            - 2 * (self.mean @ sums.cross + self.user_mean @ sums.user_sum)
            + self.mean @ (sums.gram @ self.mean)
            + self.user_mean**2 @ sums.rows
            + 2 * self.user_mean @ (sums.by_user @ self.mean)
        )
        return found, fit / max(sums.count - told, 1.0)


def _solved(sums: _Sums, spread: Vector, noise: float) -> _Solved:
    """Users are solved out: given the coefficients, each one's level is a mean of their rows."""
    held = sums.rows + noise / spread[-1]
    less = diags(1.0 / held) @ sums.by_user
    whole = (sums.gram - sums.by_user.T @ less).toarray()
    whole[np.diag_indices_from(whole)] += noise / spread[sums.block]
    factor = cho_factor(whole)
    covariance = noise * cho_solve(factor, np.eye(len(whole)))
    mean = cho_solve(factor, sums.cross - less.T @ sums.user_sum)
    through = np.asarray(less @ covariance).reshape(len(held), -1)
    return _Solved(
        mean=mean,
        covariance=covariance,
        user_mean=sums.user_sum / held - less @ mean,
        user_variance=noise / held + np.asarray(less.multiply(through).sum(axis=1)).ravel(),
    )
