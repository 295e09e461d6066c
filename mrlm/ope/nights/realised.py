"""An estimate over several nights, with the luck of nights in its standard error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

import numpy as np

from mrlm.ope.intervals import Estimate, estimates
from mrlm.ope.nights.tomorrow import two_way_variance
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Thresholds


def over_nights(
    nights: Mapping[str, EvaluationState], level: float, thresholds: Thresholds | None = None
) -> dict[str, Estimate]:
    """Estimate of each objective over all nights together, by name.

    From two nights on the standard error is clustered by user and by night (``two_way_variance``),
    which is never below that of users alone. What nights add to the variance of users is known by
    so few deviations as there are nights less one (Cameron and Miller, 2015, section VI), that of
    users by its own degrees of freedom: those of the sum are Satterthwaite's (1946). Nights without
    a known reward do not count. One night alone does not tell how far nights differ, and its
    interval is for that night.

    Args:
        nights: the state of every night.
        level: two-sided.
        thresholds: of certification.

    Raises:
        ValueError: no nights, states of different estimates, or a level that is not in (0, 1).
    """
    if not nights:
        raise ValueError("there are no nights")
    whole = reduce(EvaluationState.merge, nights.values())
    found = estimates(whole, level, thresholds)
    if len(nights) < 2:
        return found
    variance = two_way_variance(nights)
    known = np.sum([(s.rows > 0).any(0) for s in nights.values()], axis=0)
    out = {}
    for (name, e), v, number in zip(found.items(), variance, known, strict=True):
        if number < 2:
            out[name] = e
            continue
        error = math.sqrt(float(v)) if v > 0 else e.standard_error
        freedom = _freedom(e.standard_error**2, e.degrees_of_freedom, error**2, number - 1.0)
        out[name] = replace(e, standard_error=error, degrees_of_freedom=freedom).at(level)
    return out


def _freedom(users: float, of_users: float, both: float, of_nights: float) -> float:
    """Satterthwaite's degrees of freedom of a variance ``both``, of which ``users`` is one part."""
    more = max(both - users, 0.0)
    if not (more > 0 and of_users > 0):
        return of_users
    return both**2 / (users**2 / of_users + more**2 / of_nights)
