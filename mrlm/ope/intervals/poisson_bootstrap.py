"""The user-clustered bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.user_folds import user_key
from mrlm.ope.intervals.draws import poisson
from mrlm.ope.intervals.influence import user_influence, users
from mrlm.ope.intervals.ratio import one_ratio_of
from mrlm.ope.intervals.student import Moments
from mrlm.ope.scores import ratio_value
from mrlm.ope.state.state import EvaluationState

# Bounds the draws in memory at one time, whatever the number of users.
_DRAWS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Bootstrap:
    """The studentised bootstrap over users, each drawn a Poisson number of times of mean 1.

    Efron and Tibshirani (1993), section 12.5; Poisson draws as in Hanley and MacGibbon (2006), so
    that a user's draws need no other user: they come from a hash of the user, the replicate and the
    seed, and are the same for one pass, shuffled shards or merged partitions. Of a plain mean only
    users with a numerator other than 0 are drawn one by one; the others differ in their number of
    rounds only and are drawn as a sum, which has the same law: sparse rewards cost what the rewards
    cost. Of a self-normalised mean the users without weight take no part.

    Attributes:
        replicates: B.
        seed: of all draws.
    """

    replicates: int = 2000
    seed: int = 0
    name: ClassVar[str] = "bootstrap"
    finite_sample: ClassVar[bool] = False
    anytime: ClassVar[bool] = False

    def __call__(
        self, state: EvaluationState, level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends, each of shape (m,); NaN below two users."""
        numerator, denominator, centre = _pairs(state)
        value = ratio_value(state.numerator.sum(0), state.denominator.sum(0), state.signs)
        used = users(state)
        error = Moments.of(user_influence(state), used).standard_error
        key = user_key(state.cluster)
        lower, upper = np.full(len(value), np.nan), np.full(len(value), np.nan)
        plain = (denominator == state.rows).all(0)
        tails = [(1 - level) / 2, (1 + level) / 2]
        for j in np.flatnonzero(np.isfinite(error)):
            here = used[:, j]
            seen = (numerator[:, j] != 0) | ((denominator[:, j] != 0) & ~plain[j])
            t = self._studentised(
                key[here], numerator[here, j], denominator[here, j], seen[here], centre[j]
            )
            low, high = np.quantile(t, tails, method="inverted_cdf")
            # Of a constant every replicate is the constant.
            lower[j] = value[j] - (high * error[j] if error[j] > 0 else 0.0)
            upper[j] = value[j] - (low * error[j] if error[j] > 0 else 0.0)
        return lower, upper

    def _studentised(
        self,
        key: NDArray[np.uint64],
        numerator: NDArray[np.float64],
        denominator: NDArray[np.float64],
        seen: NDArray[np.bool_],
        centre: float,
    ) -> NDArray[np.float64]:
        """The replicates' (value - centre) / standard error, shape (B,)."""
        # About the centre, so that the sums of squares do not cancel.
        residual = numerator - centre * denominator
        own = np.stack(_products(residual[seen], denominator[seen]), axis=1)
        sums = self._own_sums(key[seen], own) + self._shared_sums(
            residual[~seen], denominator[~seen]
        )
        r, d, rr, rd, dd = sums.T
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = r / d
            error = np.sqrt(np.maximum(rr - 2 * shift * rd + shift**2 * dd, 0.0)) / np.abs(d)
            t = shift / error
        # A replicate without spread is infinitely far out, on its side.
        return np.where(np.isnan(t), np.where(shift == 0, 0.0, -np.inf), t)

    def _own_sums(self, key: NDArray[np.uint64], own: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over users drawn one by one, shape (B, 5)."""
        replicate = np.arange(self.replicates, dtype=np.uint64) + (
            np.uint64(self.seed) << np.uint64(32)
        )
        out = np.zeros((self.replicates, own.shape[1]))
        step = max(1, _DRAWS_AT_ONCE // self.replicates)
        for start in range(0, len(key), step):
            part = slice(start, start + step)
            out += poisson(key[part], replicate) @ own[part]
        return out

    def _shared_sums(
        self, residual: NDArray[np.float64], denominator: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sums over users without numerator, by denominator, shape (B, 5)."""
        kinds, first, count = np.unique(denominator, return_index=True, return_counts=True)
        out = np.zeros((self.replicates, 5))
        generator = np.random.default_rng(self.seed)
        for kind, at, size in zip(kinds, first, count, strict=True):
            drawn = generator.poisson(size, self.replicates)[:, None]
            out += drawn * np.array(_products(residual[at], kind))
        return out


def _products(r: NDArray[np.float64], d: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    return r, d, r * r, r * d, d * d


def _pairs(
    state: EvaluationState,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Numerators and denominators (C, m) of a ratio to be resampled, and its value (m,).

    A difference of ratios with different denominators is resampled through its influence values.
    """
    try:
        numerator, denominator = one_ratio_of(state)
    except ValueError:
        influence = user_influence(state)
        return influence, np.full(influence.shape, 1.0), np.zeros(influence.shape[1])
    total = denominator.sum(0)
    return numerator, denominator, numerator.sum(0) / np.where(total != 0, total, np.nan)
