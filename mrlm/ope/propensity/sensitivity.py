"""Bounds on a policy's value under hidden confounding of bounded strength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group
from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.checks import check_between_0_and_1
from mrlm.ope.plain import plain_fields

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SensitivityBound:
    """What the log says of one objective if confounding has at most strength Gamma.

    Attributes:
        policy: name of the policy.
        objective: name of the objective.
        gamma: bound on the odds ratio of true to nominal propensity, at least 1.
        value_lower: lowest self-normalised estimate over all propensities within the bound.
        value_upper: highest.
        lower: lower end of the two-sided percentile interval of ``level``, users resampled.
        upper: upper end.
        level: two-sided level.
    """

    policy: str
    objective: str
    gamma: float
    value_lower: float
    value_upper: float
    lower: float
    upper: float
    level: float

    def to_json(self) -> dict[str, Any]:
        """The fields; None for what is not a finite number."""
        return plain_fields(self)


def sensitivity_bounds(
    batch: EvaluationBatch,
    gammas: Sequence[float] = (1.0, 1.25, 1.5, 2.0, 3.0),
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> tuple[SensitivityBound, ...]:
    """Bounds on the self-normalised value under Tan's marginal sensitivity model.

    The true propensity e of the shown item, given also what the logger saw and the log does not,
    has odds within a factor Gamma of those of the nominal p (Tan, 2006), so ``1 / e`` lies between
    ``1 + (1 / p - 1) / Gamma`` and ``1 + (1 / p - 1) Gamma``. The extreme ratio of sums over such
    weights is a linear-fractional programme whose solution puts the largest weights on the rounds
    beyond a threshold of the reward: sorted once, it is the best of n ratios of cumulative sums
    (Zhao, Small and Bhattacharya, 2019, section 4). Percentile intervals over resampled users cover
    the whole set of values (their theorem 1). Gamma 1 gives SNIPS.

    Args:
        batch: n rounds; its propensities are the nominal ones.
        gammas: strengths, each at least 1.
        level: two-sided level.
        draws: bootstrap draws.
        seed: of the draws.

    Returns:
        One bound for each objective and Gamma, in that order.

    Raises:
        ValueError: a Gamma is below 1, or the level is not in (0, 1).
    """
    if not gammas or not all(g >= 1 for g in gammas):
        raise ValueError(f"every Gamma must be at least 1; got {list(gammas)}")
    check_between_0_and_1("level", level)
    user = group(batch.cluster)[1]
    out = []
    for j, objective in enumerate(batch.objectives):
        # Rounds without weight are in neither sum, whatever the confounding.
        index = np.flatnonzero(batch.used[:, j] & (batch.weight > 0))
        level_of, place = np.unique(batch.rewards[index, j], return_inverse=True)
        for gamma in gammas:
            sums = _sums(batch, index, place, len(level_of), user, gamma)
            ends = _extremes(level_of, *(np.atleast_2d(w.sum(0)) for w in sums))[:, 0]
            drawn = _bootstrap(level_of, sums, draws, seed)
            tail = (1 - level) / 2
            out.append(
                SensitivityBound(
                    policy=batch.policy,
                    objective=objective,
                    gamma=float(gamma),
                    value_lower=float(ends[0]),
                    value_upper=float(ends[1]),
                    lower=_quantile(drawn[0], tail),
                    upper=_quantile(drawn[1], 1 - tail),
                    level=level,
                )
            )
    return tuple(out)


def _sums(
    batch: EvaluationBatch,
    index: NDArray[np.int64],
    place: NDArray[np.int64],
    levels: int,
    user: NDArray[np.int64],
    gamma: float,
) -> tuple[Any, Any]:
    """Smallest and largest weights of the rounds, summed by user and value of the reward.

    Two sparse matrices of shape (users, levels): rounds of equal reward are on the same side of
    every threshold, so no more of them is needed.
    """
    from scipy.sparse import csr_array

    target, odds = batch.target[batch.shown[index]], 1 / batch.propensity[index] - 1
    shape = (int(user.max()) + 1, levels)
    low, high = (
        csr_array((target * (1 + odds * factor), (user[index], place)), shape=shape)
        for factor in (1 / gamma, gamma)
    )
    return low, high


def _extremes(reward: Floats, low: Floats, high: Floats) -> Floats:
    """Smallest and largest ratio for each row of weight sums, shape (2, draws).

    Args:
        reward: float64, shape (levels,), ascending.
        low: float64, shape (draws, levels), sums of the smallest weights.
        high: float64, shape (draws, levels), sums of the largest.

    Returns:
        NaN where a draw has no round.
    """
    if len(reward) == 0:
        return np.full((2, len(low)), np.nan)

    def cumulative(values: Floats) -> Floats:
        out = np.zeros((len(values), len(reward) + 1))
        np.cumsum(values, axis=1, out=out[:, 1:])
        return out

    sum_low, sum_high = cumulative(low), cumulative(high)
    value_low, value_high = cumulative(low * reward), cumulative(high * reward)
    with np.errstate(invalid="ignore"):
        # The smallest rewards at one limit and the others at the other.
        smallest = (value_high + value_low[:, -1:] - value_low) / (
            sum_high + sum_low[:, -1:] - sum_low
        )
        largest = (value_low + value_high[:, -1:] - value_high) / (
            sum_low + sum_high[:, -1:] - sum_high
        )
    return np.stack([smallest.min(1), largest.max(1)])


def _bootstrap(reward: Floats, sums: tuple[Any, Any], draws: int, seed: int) -> Floats:
    """Extremes of each draw of users with replacement, shape (2, draws)."""
    g, users = np.random.default_rng(seed), sums[0].shape[0]
    block = max(1, (1 << 21) // max(len(reward), users))
    parts = []
    for start in range(0, draws, block):
        size = min(block, draws - start)
        picked = g.integers(0, users, (size, users)) + np.arange(size)[:, None] * users
        count = np.bincount(picked.ravel(), minlength=size * users).reshape(size, users)
        weighted = count.astype(np.float64)
        parts.append(_extremes(reward, *((w.T @ weighted.T).T for w in sums)))
    return np.concatenate(parts, axis=1)


def _quantile(values: Floats, at: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, at)) if len(known) else float("nan")
