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
    which is never below that of users alone, and the degrees of freedom are at most the nights less
    one: that few deviations tell how far nights differ (Cameron and Miller, 2015, section VI).
    Two or three nights therefore give wide intervals; nights without a known reward do not count.
    One night alone does not tell how far nights differ, and its interval is for that night.

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
        freedom = min(e.degrees_of_freedom, float(number - 1))
        out[name] = replace(e, standard_error=error, degrees_of_freedom=freedom).at(level)
    return out
