"""Bounds on a policy's value under hidden confounding of bounded strength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlm.ope.batch import EvaluationBatch
from mrlm.ope.state import group

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
        return {
            k: None if isinstance(v, float) and not np.isfinite(v) else v
            for k, v in self.__dict__.items()
        }


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
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1; got {level}")
    user = group(batch.cluster)[1]
    out = []
    for j, objective in enumerate(batch.objectives):
        # Rounds without weight are in neither sum, whatever the confounding.
        index = np.flatnonzero(batch.used[:, j] & (batch.weight > 0))
        order = index[np.argsort(batch.rewards[index, j], kind="stable")]
        reward, code = batch.rewards[order, j], user[order]
        for gamma in gammas:
            low, high = _limits(batch, order, gamma)
            ends = _extremes(reward, low, high, np.ones((1, len(order))))[:, 0]
            drawn = _bootstrap(reward, low, high, code, int(user.max()) + 1, draws, seed)
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


def _limits(
    batch: EvaluationBatch, order: NDArray[np.int64], gamma: float
) -> tuple[Floats, Floats]:
    """Smallest and largest weight of each round, each of shape (n,)."""
    target, odds = batch.target[batch.shown[order]], 1 / batch.propensity[order] - 1
    return target * (1 + odds / gamma), target * (1 + odds * gamma)


def _extremes(reward: Floats, low: Floats, high: Floats, count: Floats) -> Floats:
    """Smallest and largest ratio for each row of counts, shape (2, draws); rewards ascending.

    NaN where a draw has no round.
    """
    draws, n = count.shape
    if n == 0:
        return np.full((2, draws), np.nan)

    def sums(weight: Floats) -> Floats:
        out = np.zeros((draws, n + 1))
        np.cumsum(count * weight, axis=1, out=out[:, 1:])
        return out

    sum_low, sum_high = sums(low), sums(high)
    value_low, value_high = sums(low * reward), sums(high * reward)
    with np.errstate(invalid="ignore"):
        # The first k rounds, of the smallest rewards, at one limit and the others at the other.
        smallest = (value_high + value_low[:, -1:] - value_low) / (
            sum_high + sum_low[:, -1:] - sum_low
        )
        largest = (value_low + value_high[:, -1:] - value_high) / (
            sum_low + sum_high[:, -1:] - sum_high
        )
    return np.stack([smallest.min(1), largest.max(1)])


def _bootstrap(
    reward: Floats,
    low: Floats,
    high: Floats,
    code: NDArray[np.int64],
    users: int,
    draws: int,
    seed: int,
) -> Floats:
    """Extremes of each draw of users with replacement, shape (2, draws)."""
    g = np.random.default_rng(seed)
    block = max(1, (1 << 20) // max(len(reward), 1))
    parts = []
    for start in range(0, draws, block):
        size = min(block, draws - start)
        picked = g.integers(0, users, (size, users)) + np.arange(size)[:, None] * users
        count = np.bincount(picked.ravel(), minlength=size * users).reshape(size, users)
        parts.append(_extremes(reward, low, high, count[:, code].astype(np.float64)))
    return np.concatenate(parts, axis=1)


def _quantile(values: Floats, at: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, at)) if len(known) else float("nan")
