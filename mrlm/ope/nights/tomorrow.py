"""Tomorrow is not last night: variance over users and nights, and an interval for the next night.

Nights have luck of their own (weather, news, a campaign), and weekdays differ. An interval that is
clustered by user alone is for these very nights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group
from mrlm.ope.checks import check_between_0_and_1
from mrlm.ope.intervals.influence import user_influence
from mrlm.ope.scores import ratio_influence, ratio_value
from mrlm.ope.state.state import EvaluationState

# Degrees of freedom below which a t quantile says nothing any more.
_LEAST_FREEDOM = 2.0


@dataclass(frozen=True)
class Prediction:
    """The value of the next night, of one objective.

    Attributes:
        objective: name.
        value: expected value of the next night.
        lower: lower end of the prediction interval for its true value.
        upper: upper end.
        level: two-sided level.
        night_deviation: standard deviation between the true values of nights, of one weekday where
            a season is given.
        standard_error: of ``value``, users and nights together.
        degrees_of_freedom: of the interval's t quantile.
        nights: nights that it rests on.
    """

    objective: str
    value: float
    lower: float
    upper: float
    level: float
    night_deviation: float
    standard_error: float
    degrees_of_freedom: float
    nights: int


def two_way_variance(nights: Mapping[str, EvaluationState]) -> NDArray[np.float64]:
    """Variance of the estimate over all nights, clustered by user and by night, shape (m,).

    ``V_user + V_night - V_user-night``, each a sum of squared sums of influence with G / (G - 1):
    Cameron, Gelbach and Miller (2011), equation 2.9. Where that is below the larger of the two
    one-way variances, which sampling can do, it is the larger one. NaN below two nights or users.

    Args:
        nights: the state of every night; users may come on several.

    Raises:
        ValueError: no nights, or states of different estimates.
    """
    states = _checked(nights)
    whole = reduce(EvaluationState.merge, states)
    by_user = user_influence(whole)
    numerator, denominator = whole.numerator.sum(0), whole.denominator.sum(0)
    cells = [
        ratio_influence(s.numerator, s.denominator, numerator, denominator, whole.signs)
        for s in states
    ]
    by_night = np.stack([c.sum(0) for c in cells])
    both = np.concatenate(cells)
    users, alone, cross = (_corrected(x) for x in (by_user, by_night, both))
    found: NDArray[np.float64] = np.maximum(users + alone - cross, np.maximum(users, alone))
    return found


def next_night(
    nights: Mapping[str, EvaluationState],
    level: float = 0.95,
    season: int | None = None,
    recent: int | None = None,
) -> dict[str, Prediction]:
    """Prediction intervals for the true value of the next night, by objective.

    The nightly estimates spread by the nights' own deviation s and by their sampling error less
    what returning users share: ``E[S^2] = s^2 + mean v_t - mean c_tu`` with v_t the clustered
    variance of night t and c_tu the covariance of two nights through their users. The method of
    moments gives s^2, 0 at the least. The interval is the mean of the nights, weighing nights
    alike, plus and minus t times the root of ``s^2 (1 + 1 / k) + mean variance through users``,
    with the degrees of freedom of Satterthwaite (1946).

    Args:
        nights: the state of every night, the last one last, without gaps if ``season`` is given.
        level: two-sided.
        season: nights after which the pattern repeats, 7 for weekdays: the mean is then that of
            the nights that fall on the next night's weekday.
        recent: only so many of the last nights tell the mean. Earlier ones, on which a policy may
            have been chosen, tell how far nights spread, about a mean of their own; 4 nights
            are then needed.

    Raises:
        ValueError: fewer than 3 nights, or than 2 seasons; states of different estimates; a level
            that is not in (0, 1); ``recent`` below 1, or given with a season.
    """
    check_between_0_and_1("level", level)
    if recent is not None and (recent < 1 or season is not None):
        raise ValueError(f"recent must be 1 or more, and without a season; got {recent}")
    states = _checked(nights)
    period = season if season is not None else 1
    if period < 1 or len(states) < max(2 * period, 3):
        raise ValueError(
            f"a prediction needs 3 nights and 2 of every weekday; got {len(states)} nights for a "
            f"season of {season}"
        )
    value = np.stack(
        [ratio_value(s.numerator.sum(0), s.denominator.sum(0), s.signs) for s in states]
    )
    shared = _covariance_of_nights(states)
    place, coming = np.arange(len(states)) % period, len(states) % period
    if recent is not None:
        place, coming = (np.arange(len(states)) >= len(states) - recent).astype(np.int64), 1
        if len(states) - len(np.unique(place)) < _LEAST_FREEDOM:
            raise ValueError(
                f"a prediction from {recent} recent nights needs 4 in all; got {len(states)}"
            )
    return {
        name: _predict(name, value[:, j], shared[:, :, j], level, place, coming)
        for j, name in enumerate(states[0].objectives)
    }


def _predict(
    name: str,
    value: NDArray[np.float64],
    shared: NDArray[np.float64],
    level: float,
    place: NDArray[np.int64],
    coming: int,
) -> Prediction:
    """Prediction from nights in groups, ``place``, of which the next night belongs to one."""
    from scipy.special import stdtrit

    total = len(value)
    # Residuals about the mean of the group: the annihilator of its dummies.
    same = place[:, None] == place[None, :]
    mean_of = same / same.sum(1, keepdims=True)
    left = np.eye(total) - mean_of
    free = total - len(np.unique(place))
    spread = float(((left @ value) ** 2).sum() / free)
    noise = float(np.trace(left @ shared) / free)
    own = max(spread - noise, 0.0)
    next_place = place == coming
    weights = next_place / next_place.sum()
    centre = float(weights @ value)
    # Sampling alone can make a night's estimate wrong; it is not part of the next night's truth.
    through_users = max(float(weights @ shared @ weights), 0.0)
    error = through_users + own / next_place.sum()
    variance = own + error
    # Only the nights' spread is estimated from few; var(spread) = 2 spread^2 / free.
    part = spread * (1 + 1 / next_place.sum())
    freedom = free * (variance / part) ** 2 if part > 0 else math.inf
    freedom = min(max(freedom, _LEAST_FREEDOM), 1e9)
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    return Prediction(
        objective=name,
        value=centre,
        lower=centre - half,
        upper=centre + half,
        level=level,
        night_deviation=math.sqrt(own),
        standard_error=math.sqrt(error),
        degrees_of_freedom=freedom,
        nights=total,
    )


def _covariance_of_nights(states: list[EvaluationState]) -> NDArray[np.float64]:
    """Covariance of the nightly estimates through users who come on both, shape (T, T, m)."""
    _, code = group(np.concatenate([s.cluster for s in states]))
    users = int(code.max()) + 1
    ends = np.cumsum([len(s.cluster) for s in states])
    number, objectives = len(states), len(states[0].objectives)
    out = np.empty((number, number, objectives))
    influence = [_adjusted(s) for s in states]
    for j in range(objectives):
        x = np.zeros((number, users))
        for t, s in enumerate(states):
            x[t, code[ends[t] - len(s.cluster) : ends[t]]] = influence[t][:, j]
        out[:, :, j] = x @ x.T
    return out


def _adjusted(state: EvaluationState) -> NDArray[np.float64]:
    """Influence of the users of one night, times the root of G / (G - 1)."""
    groups = (state.rows > 0).sum(0)
    factor = np.sqrt(groups / np.maximum(groups - 1, 1))
    found: NDArray[np.float64] = user_influence(state) * factor
    return found


def _corrected(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squares over clusters times G / (G - 1); NaN below two."""
    number = len(x)
    if number < 2:
        return np.full(x.shape[1], np.nan)
    found: NDArray[np.float64] = (x**2).sum(0) * number / (number - 1)
    return found


def _checked(nights: Mapping[str, EvaluationState]) -> list[EvaluationState]:
    if not nights:
        raise ValueError("there are no nights")
    return list(nights.values())
