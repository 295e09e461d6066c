"""Estimates from folded users: the numbers that ``estimates`` gives from all users' sums."""

from __future__ import annotations

import math

import numpy as np

from mrlm.ope.checks import check_between_0_and_1
from mrlm.ope.intervals.estimate import Estimate, Numbers, judged
from mrlm.ope.intervals.student import Moments, degrees_of_freedom, ends_of
from mrlm.ope.scores import ratio_value
from mrlm.ope.state.folded import FoldedState
from mrlm.ope.verdict.certify import Thresholds
from mrlm.ope.verdict.diagnostics import Diagnostics, Totals, diagnosed, effective_number


# Moments that overflow give numbers that are not finite, which certification refuses.
@np.errstate(over="ignore", invalid="ignore")
def folded_estimates(
    state: FoldedState, level: float = 0.95, thresholds: Thresholds | None = None
) -> dict[str, Estimate]:
    """Estimate of each objective, by name; the formulas are those of ``mrlm.ope.estimates``.

    Raises:
        ValueError: the level is not in (0, 1).
    """
    check_between_0_and_1("level", level)
    value = ratio_value(state.numerator, state.denominator, state.signs)
    second, third, fourth = state.influence_moments()
    overlap = folded_diagnostics(state)
    variance = np.maximum(np.diagonal(second), 0.0)
    moments = Moments(state.users, np.ones(len(variance)), variance, third, fourth)
    limit = [
        min(d.tail_nonzero for d in overlap[name]) if state.covers_policy_value else math.inf
        for name in state.objectives
    ]
    freedom = degrees_of_freedom(moments, limit)
    error, skewness = moments.standard_error, moments.skewness
    lower, upper = ends_of(value, error, freedom, skewness, (1 + level) / 2)
    numbers = Numbers(value, error, freedom, skewness, lower, upper)
    return judged(state, numbers, overlap, level, thresholds)


def folded_diagnostics(state: FoldedState) -> dict[str, tuple[Diagnostics, ...]]:
    """Diagnostics by objective, one for each policy of the estimate."""
    return {
        name: tuple(_diagnostics(state, j, k) for k in range(len(state.policies)))
        for j, name in enumerate(state.objectives)
    }


def _diagnostics(state: FoldedState, j: int, k: int) -> Diagnostics:
    user_square = float(state.user_square[j, k])
    totals = Totals(
        rows=int(state.rows[j]),
        users=int(state.users[j]),
        shares=float(state.share_sum[j, k]),
        weight=float(state.weight_sum[j, k]),
        square=float(state.weight_square[j, k]),
        largest=float(state.weight_largest[j, k]),
        unsupported=float(state.unsupported[j, k]),
        expected_square=float(state.expected_square[j, k]),
        fourth=float(state.weight_fourth[j, k]),
        nonzero=int(state.nonzero[j, k]),
        matched=int(state.matched[j, k]),
    )
    # The users' sums less mean times shares, squared: excess over shares is small where mean is 1.
    beyond = totals.mean_weight - 1
    residual = (
        state.excess_square[j, k]
        - 2 * beyond * state.excess_share[j, k]
        + beyond * beyond * state.share_square[j, k]
    )
    return diagnosed(
        state,
        j,
        k,
        totals,
        residual=math.sqrt(max(float(residual), 0.0)),
        effective_users=effective_number(totals.weight, user_square),
        tail_users=effective_number(user_square, float(state.user_fourth[j, k])),
    )
