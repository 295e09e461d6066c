"""Power: the rounds at which a given gain would be seen."""

from __future__ import annotations

import math

from mrlm.ope.checks import check_between_0_and_1
from mrlm.ope.intervals.estimate import Estimate


def rows_for_gain(
    estimate: Estimate, gain: float, error: float = 0.05, power: float = 0.8
) -> int | None:
    """Rounds of a log like this one at which a difference of ``gain`` passes the gate.

    ``n ((z_error + z_power) s / gain)^2`` with s the standard error at n rounds: a one-sided test
    of the difference at ``error`` that a true gain passes with probability ``power``, users and
    rounds growing together.

    Returns:
        Rounds; None where there is no standard error.

    Raises:
        ValueError: the gain is not above 0, or error or power not in (0, 1).
    """
    from scipy.special import ndtri

    if not gain > 0:
        raise ValueError(f"the gain must be above 0; got {gain}")
    for name, x in (("error", error), ("power", power)):
        check_between_0_and_1(name, x)
    if not math.isfinite(estimate.standard_error):
        return None
    reach = float(ndtri(1 - error) + ndtri(power))
    return math.ceil(estimate.rows * (max(reach, 0.0) * estimate.standard_error / gain) ** 2)


def gain_for_rows(estimate: Estimate, rows: int, error: float = 0.05, power: float = 0.8) -> float:
    """Least gain that ``rows`` rounds would show; the inverse of ``rows_for_gain``, NaN without.

    Raises:
        ValueError: rows is below 1, or error or power not in (0, 1).
    """
    if rows < 1:
        raise ValueError(f"rows must be 1 or more; got {rows}")
    needed = rows_for_gain(estimate, 1.0, error, power)
    if needed is None:
        return math.nan
    from scipy.special import ndtri

    reach = max(float(ndtri(1 - error) + ndtri(power)), 0.0)
    return reach * estimate.standard_error * math.sqrt(estimate.rows / rows)
