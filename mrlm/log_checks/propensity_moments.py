"""Moments of logged propensities, which what was shown can refute."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import Ragged, segment_sum

Floats = NDArray[np.float64]
# Of what follows, where there is nothing to compute it from.
_UNKNOWN = (
    "inverse_propensity_gap",
    "inverse_propensity_error",
    "log_propensity_gap",
    "log_propensity_error",
)


def propensity_moments(
    sizes: NDArray[np.int64], propensity: Floats, logged: Ragged, logged_propensity: Floats
) -> dict[str, float | None]:
    """Means over slots with a conditional propensity, which can refute the logged ones.

    Where the shown item a of a slot with K candidates was really drawn with the logged p,
    E[1/p(a)] = K and E[log p(a)] = -H, the negative entropy of the slot's candidates. With logged
    candidate propensities q the variances are exact, sum(1/q) - K^2 and sum(q log^2 q) - H^2, so
    that a rare large 1/p cannot pass for an error, nor an error for it. Without them only 1/p is
    tested, by its sample variance.

    Args:
        sizes: candidates of each slot, shape (n,).
        propensity: of its shown item, in (0, 1], shape (n,).
        logged: q >= 0 of the candidates of the m <= n slots that log them, float64; slots with a
            candidate of q = 0 are left out, for their 1/q has no end.
        logged_propensity: of the shown items of those, shape (m,).

    Returns:
        ``slots``, ``candidates`` (mean K), ``logged_slots``, ``inverse_propensity_gap`` (mean 1/p
        over mean K, minus 1), ``inverse_propensity_error`` (its standard error),
        ``log_propensity_gap`` (mean of log p + H over mean H), ``log_propensity_error``; None where
        there is nothing to compute from.
    """
    positive = segment_sum((logged.values <= 0).astype(np.float64), logged.offsets) == 0
    number, whole = len(sizes), int(positive.sum())
    found: dict[str, float | None] = dict.fromkeys(_UNKNOWN)
    found |= {"slots": number, "logged_slots": whole}
    found["candidates"] = float(sizes.mean()) if number else None
    q = np.where(logged.values > 0, logged.values, 1.0)
    if number > 1:
        inverse = 1 / propensity
        spread = segment_sum(1 / q, logged.offsets)[positive] - logged.lengths[positive] ** 2
        variance = spread.mean() if whole == number else (inverse - sizes).var(ddof=1)
        candidates = sizes.mean()
        found["inverse_propensity_gap"] = float(inverse.mean() / candidates) - 1
        error = math.sqrt(max(float(variance), 0.0) / number) / candidates
        found["inverse_propensity_error"] = float(error)
    if whole > 1:
        surprise = -np.log(q)
        entropy = segment_sum(q * surprise, logged.offsets)[positive]
        squares = segment_sum(q * surprise**2, logged.offsets)[positive]
        if (mean := float(entropy.mean())) > 1e-9:
            gap = float((np.log(logged_propensity[positive]) + entropy).mean())
            spread_of_log = max(float((squares - entropy**2).mean()), 0.0)
            found["log_propensity_gap"] = gap / mean
            found["log_propensity_error"] = math.sqrt(spread_of_log / whole) / mean
    return found
