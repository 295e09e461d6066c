"""Where a condition that holds at one place stops holding, for many at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_HALVINGS = 60


def last_true(
    holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]],
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The last place from ``start`` towards ``stop`` where the condition holds, by bisection.

    The condition holds at ``start`` and changes at most once on the way; ``stop`` where it never
    stops; NaN where ``start`` is NaN. The result errs outwards. Arrays of one shape.
    """
    inner, outer = start.copy(), stop.copy()
    never = holds(stop)
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        good = holds(middle)
        inner, outer = np.where(good, middle, inner), np.where(good, outer, middle)
    return np.where(np.isnan(start), np.nan, np.where(never, stop, outer))
