"""The world with three bad nights: wrong propensities, a reversed label, a broken head.

The log of night 14 has each propensity beside the wrong candidate, that of night 16 the north star
reversed, and the head that is saved after night 18 has the wrong sign. The worst week is looked for
from the first bad night on: before it both systems are those of the clean world, and the first
nights are the first champion's in both.

10 seeds; quick: 1 seed, 12 nights of 150 users with the bad nights in a row, without bars.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.loop._costs import costs
from benchmarks.loop._faults import PLANTED, QUICK_PLANTED
from benchmarks.loop._finished import lives
from benchmarks.loop._rows import accounted, means, values
from benchmarks.loop._systems import GATED, UNGATED
from benchmarks.loop._world import FULL, QUICK
from benchmarks.rows import Row

WEEK = 7


def run(quick: bool) -> list[Row]:
    """The gated system and the one that retrains without a gate, by their worst week."""
    size, faults = (QUICK, QUICK_PLANTED) if quick else (FULL, PLANTED)
    found = lives(__name__, (GATED, UNGATED), size, faults)
    by, first = values(found), min(faults)
    since = {name: worst_week(v[:, first:]) for name, v in by.items()}
    over, whole = since[GATED] - since[UNGATED], {n: worst_week(v) for n, v in by.items()}
    nights = ", ".join(f"{what} on night {night + 1}" for night, what in faults.items())
    return [
        *means(found, "planted"),
        Row(
            "planted: worst week of gated less that of ungated, least seed",
            float(over.min()),
            bar="above 0",
            holds=bool(over.min() > 0),
            note=f"{nights}; from night {first + 1} on; gated {since[GATED].mean():.4f}, ungated "
            f"{since[UNGATED].mean():.4f}, mean {over.mean():+.4f}",
        ).where(not quick),
        Row(
            "planted: the same over all nights, the first champion's included",
            float((whole[GATED] - whole[UNGATED]).min()),
            note=f"gated {whole[GATED].mean():.4f}, ungated {whole[UNGATED].mean():.4f}",
        ),
        *costs(found, "planted"),
        accounted(found, "planted"),
    ]


def worst_week(by_night: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least mean of seven nights in a row, by seed; of all where there are fewer."""
    week = min(WEEK, by_night.shape[1])
    return np.asarray(sliding_window_view(by_night, week, axis=1).mean(axis=2).min(axis=1))
