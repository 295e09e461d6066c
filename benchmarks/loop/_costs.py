"""What the gated system loses to the ungated one, by what its gate was doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.loop._finished import Lives
from benchmarks.loop._rows import values
from benchmarks.loop._systems import GATED, ON_TRIAL, PROMOTED, UNGATED
from benchmarks.rows import Row

FIRST, TEST, BETWEEN = "before its first promotion", "during a test", "between tests"


def costs(lives: Lives, world: str) -> list[Row]:
    """Every night's difference, by the state in which the gated system served it; they add up.

    The two serve different pools after their first promotion, so a night's difference is what
    all nights before it made, too.
    """
    by = values(lives)
    lost, whole = by[UNGATED] - by[GATED], float(by[UNGATED].sum())
    states = np.array([states_of(life) for life in lives[GATED]])
    rows = []
    for state in (FIRST, TEST, BETWEEN):
        there = states == state
        many = there.sum(1)
        each = float(lost[there].mean()) if there.any() else 0.0
        rows.append(
            Row(
                f"{world}: share of ungated that gated loses {state}",
                float(lost[there].sum()) / whole,
                note=f"{many.mean():.1f} nights a seed, {many.min()} to {many.max()}; "
                f"{each:+.4f} a night",
            )
        )
    return rows


def states_of(life: Mapping[str, Any]) -> NDArray[np.str_]:
    """In which state each night was served, by what the system said after the one before."""
    said = [life["told"].get(str(night - 1), "") for night in range(len(life["value"]))]
    promoted = np.cumsum([each.startswith(PROMOTED) for each in said]) > 0
    tested = np.array([each.startswith(ON_TRIAL) for each in said])
    return np.select([tested, ~promoted], [TEST, FIRST], BETWEEN)
