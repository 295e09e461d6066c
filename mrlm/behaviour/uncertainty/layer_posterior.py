"""What the log leaves open of a prediction: the posterior of a last layer in three storeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri, stdtrit

Floats = NDArray[np.floating]
Vector = NDArray[np.float64]
# Entries of a history, and rewards of an item, after which half of a variance is left.
_ENTRIES, _REWARDS = 30.0, 10.0
# MacKay's constant of the logistic curve under a normal distribution.
_LOGISTIC = np.pi / 8
# Probabilities nearer to 0 or 1 have no logit worth the name.
_LEAST = 1e-9
# The fewest degrees of freedom at which a t distribution has a variance.
_LEAST_FREEDOM = 3.0


@dataclass(frozen=True)
class LayerPosterior:
    """The error of an output, as a normal distribution, for each of k members with h hidden units.

        error = shared · (hidden, 1) + level of the user + taste of the user · v + level of the item

    ``shared`` is the last layer's error, whose covariance is Laplace's. A user's and an item's own
    are drawn around 0; v is the item's vector from its mean, its mean square 1. All are of the
    north star's head, in the unit of its calibrated output: of the logit where it is binary.

    Attributes:
        root: a root of the covariance of ``shared`` (times its transpose), for hidden units as
            ``PairForward.activate`` has them, float64, shape (k, h + 1, h + 1).
        centre: mean item vector, float64, shape (vector,).
        scale: root of the mean square of item vectors from it.
        level: variance of the level of a user without history.
        taste: of that user's taste · v for an item of usual length.
        item: of the level of an item without rewards.
        freedom: degrees of freedom of the variances, which are estimates: ``satterthwaite``. As if
            they were known in models that were stored before it was told.
    """

    root: NDArray[np.float64]
    centre: Vector
    scale: float
    level: float = 0.0
    taste: float = 0.0
    item: float = 0.0
    freedom: float = np.inf

    def lengths(self, vectors: Floats) -> Vector:
        """|v|² of items by their vectors, float64, shape (i,)."""
        away: Vector = (np.asarray(vectors, np.float64) - self.centre) / self.scale
        return np.asarray(np.einsum("iv,iv->i", away, away))

    def variance(self, length: Vector, entries: NDArray[np.int64], rewards: Vector) -> Vector:
        """Variance of what is the user's and the item's own, float64, shape (P,).

        Args:
            length: ``lengths`` of each pair's item, shape (P,).
            entries: of each pair's history, shape (P,).
            rewards: of the item that the members know, float64, shape (k, P) or (P,).
        """
        return history_share(entries) * self.of_user(length) + self.of_item(rewards)

    def of_user(self, length: Vector) -> Vector:
        """The user's share of ``variance`` where there is no history, shape (i,)."""
        return self.level + self.taste * length

    def of_item(self, rewards: Vector) -> Vector:
        """The item's share of ``variance``, shape (i,), by rewards of shape (k, i) or (i,)."""
        item: Vector = self.item * item_share(rewards)
        return item.mean(axis=0) if item.ndim == 2 else item

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """What is stored, by name."""
        spreads = np.array([self.scale, self.level, self.taste, self.item, self.freedom])
        return {
            "posterior.root": self.root,
            "posterior.centre": self.centre,
            "posterior.spreads": spreads,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64]]) -> LayerPosterior | None:
        """What ``arrays`` gave, among others; None where it is not there."""
        if "posterior.root" not in arrays:
            return None
        spreads = arrays["posterior.spreads"].tolist()
        return cls(arrays["posterior.root"], arrays["posterior.centre"], *spreads)


def history_share(entries: NDArray[np.int64]) -> Vector:
    """Share of the variance of a user's own that so many entries of the history leave."""
    return np.asarray(1.0 / (1.0 + entries / _ENTRIES))


def item_share(rewards: Vector) -> Vector:
    """Share of the variance of an item's own that so many rewards leave."""
    return np.asarray(1.0 / (1.0 + rewards / _REWARDS))


def layer_variance(hidden: Floats, root: Floats) -> Floats:
    """Variance of an output that the error of a last layer gives, shape (..., n).

    Args:
        hidden: as ``PairForward.activate`` gives it, shape (..., n, h).
        root: see ``LayerPosterior``, in the precision that is wanted, shape (..., h + 1, h + 1).
    """
    moved = hidden @ root[..., :-1, :]
    moved += root[..., -1:, :]
    return np.asarray(np.einsum("...nr,...nr->...n", moved, moved))


def slope(expected: Vector, variance: Vector, *, binary: bool) -> Vector:
    """How an expected reward moves with the mean of its output, same shape.

    For a probability p with a logit of that variance p (1 - p) / sqrt(1 + pi / 8 variance)
    (MacKay, "The evidence framework applied to classification networks", Neural Computation 1992).

    Args:
        expected: expected rewards.
        variance: of the output, same shape.
        binary: whether the reward is 0 or 1.
    """
    if not binary:
        return np.ones_like(expected)
    return expected * (1.0 - expected) / np.sqrt(1.0 + _LOGISTIC * variance)


def satterthwaite(variance: float, error: float) -> float:
    """Degrees of freedom of an estimated variance, 3 or more: 2 variance² / error.

    That of the chi-squared distribution whose mean and variance are in this relation
    (Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics
    Bulletin 1946). Below 3 a t distribution would say of the spread that it is not known at all.

    Args:
        variance: the estimate.
        error: the variance of the estimate; where it is 0 the variance is known.
    """
    return max(2.0 * variance**2 / error, _LEAST_FREEDOM) if error > 0 else np.inf


def interval(
    expected: Vector, uncertainty: Vector, level: float, *, binary: bool, freedom: float = np.inf
) -> tuple[Vector, Vector]:
    """Lower and upper end for the true expected reward, both of the shape of ``expected``.

    The output is normal: of a binary reward its logit, so that the ends are probabilities. Its
    variance is an estimate, which widens the interval as it does Student's.

    Args:
        expected: expected rewards, as a behaviour model gives them.
        uncertainty: their standard deviations, as it gives them.
        level: the chance that the ends hold the truth between them.
        binary: whether the reward is 0 or 1.
        freedom: degrees of freedom of the variance; see ``satterthwaite``.

    Raises:
        ValueError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level}: give a chance between 0 and 1")
    q = (1 + level) / 2
    z = float(ndtri(q) if np.isinf(freedom) else stdtrit(freedom, q))
    if not binary:
        return expected - z * uncertainty, expected + z * uncertainty
    p = np.clip(expected, _LEAST, 1 - _LEAST)
    # ``slope`` solved for the variance of the logit.
    ratio = (uncertainty / (p * (1 - p))) ** 2
    variance = ratio / np.maximum(1.0 - _LOGISTIC * ratio, _LEAST)
    middle = logit(p) * np.sqrt(1.0 + _LOGISTIC * variance)
    half = z * np.sqrt(variance)
    return expit(middle - half), expit(middle + half)
