"""Estimates from folded users: the numbers that ``estimates`` gives from all users' sums."""

from __future__ import annotations

import math

import numpy as np

from mrlm.ope.certify import Thresholds, certify
from mrlm.ope.diagnostics import (
    Diagnostics,
    effective_number,
    expected_sample_size,
    weighted_terms,
)
from mrlm.ope.folded import FoldedState
from mrlm.ope.intervals import Estimate
from mrlm.ope.intervals.student import Moments, degrees_of_freedom, ends_of
from mrlm.ope.scores import ratio_value


# Moments that overflow give numbers that are not finite, which certification refuses.
@np.errstate(over="ignore", invalid="ignore")
def folded_estimates(
    state: FoldedState, level: float = 0.95, thresholds: Thresholds | None = None
) -> dict[str, Estimate]:
    """Estimate of each objective, by name; the formulas are those of ``mrlm.ope.estimates``.

    Raises:
        ValueError: the level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1; got {level}")
    value = ratio_value(state.numerator, state.denominator, state.signs)
    second, third, fourth = state.influence_moments()
    overlap = folded_diagnostics(state)
    variance = np.maximum(np.diagonal(second), 0.0)
    moments = Moments(state.users, np.ones(len(variance)), variance, third, fourth)
    limit = [
        min(d.tail_nonzero for d in overlap[name]) if state.covers_policy_value else math.inf
        for name in state.objectives
    ]
    error, skewness = moments.standard_error, moments.skewness
    freedom = degrees_of_freedom(moments, limit)
    lower, upper = ends_of(value, error, freedom, skewness, (1 + level) / 2)
    out = {}
    for j, name in enumerate(state.objectives):
        users = int(state.users[j])
        found = overlap[name]
        out[name] = Estimate(
            policy=" - ".join(state.policies),
            objective=name,
            estimator=state.estimator,
            value=float(value[j]),
            standard_error=float(error[j]),
            degrees_of_freedom=float(freedom[j]),
            skewness=float(skewness[j]),
            level=level,
            lower=float(lower[j]),
            upper=float(upper[j]),
            rows=int(state.rows[j]),
            users=users,
            certificate=certify(
                state.estimator,
                state.covers_policy_value,
                found,
                thresholds or Thresholds(),
                numbers={
                    "value": float(value[j]),
                    "standard error": float(error[j]),
                    "lower end": float(lower[j]),
                    "upper end": float(upper[j]),
                },
            ),
            diagnostics=found,
            estimand=state.estimand,
        )
    return out


def folded_diagnostics(state: FoldedState) -> dict[str, tuple[Diagnostics, ...]]:
    """Diagnostics by objective, one for each policy of the estimate."""
    return {
        name: tuple(_diagnostics(state, j, k) for k in range(len(state.policies)))
        for j, name in enumerate(state.objectives)
    }


def _diagnostics(state: FoldedState, j: int, k: int) -> Diagnostics:
    rows, users = int(state.rows[j]), int(state.users[j])
    total, square = float(state.weight_sum[j, k]), float(state.weight_square[j, k])
    user_square, largest = float(state.user_square[j, k]), float(state.weight_largest[j, k])
    shares = float(state.share_sum[j, k])
    mean = total / shares if shares else math.nan
    # The users' sums less mean times shares, squared: excess over shares is small where mean is 1.
    residual = (
        state.excess_square[j, k]
        - 2 * (mean - 1) * state.excess_share[j, k]
        + (mean - 1) * (mean - 1) * state.share_square[j, k]
    )
    error = math.nan
    if users > 1 and shares:
        error = math.sqrt(users / (users - 1) * max(float(residual), 0.0)) / shares
    user_fourth = float(state.user_fourth[j, k])
    lost, expected = float(state.unsupported[j, k]), float(state.expected_square[j, k])
    return Diagnostics(
        policy=state.policies[k],
        objective=state.objectives[j],
        rows=rows,
        users=users,
        effective_sample_size=effective_number(total, square),
        effective_users=effective_number(total, user_square),
        largest_weight=largest * (rows / shares) if shares else largest,
        largest_weight_share=largest / total if total else 1.0,
        mean_weight=mean,
        mean_weight_standard_error=error,
        unsupported_mass=None if not shares or np.isnan(lost) else lost / shares,
        nonzero=int(state.nonzero[j, k]),
        matched=int(state.matched[j, k]),
        tail_users=effective_number(user_square, user_fourth),
        expected_sample_size=expected_sample_size(shares, expected),
        weighted_terms=weighted_terms(state.signs),
    )
