"""A long log in one pass: rows a second, and memory that its rows do not make grow."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from benchmarks.ope._subprocesses import measured, peak_gib
from benchmarks.rows import Row

USERS = 1_000_000
_BATCH = 1_000_000
_MODULE = "benchmarks.ope.streaming"


def run(quick: bool) -> list[Row]:
    """1e8 generated rows of 1e6 scattered users (quick: 5e6), DR, one thread, own process."""
    n = 5_000_000 if quick else 100_000_000
    found = measured(_MODULE, str(n))
    note = f"{n} rows, {USERS} scattered users, DR with interval; generation is not counted"
    return [
        Row("rows a second", n / found["seconds"], note=note),
        Row("peak memory, GiB", found["gib"], bar="<= 2", holds=found["gib"] <= 2, note=note),
        Row(
            "error of the value, standard errors",
            found["z"],
            bar="< 4",
            holds=abs(found["z"]) < 4,
            note="the generator's true value is 0.2",
        ),
    ]


def _stream(n: int) -> dict[str, float]:
    from mrlm.ope import ESTIMATORS
    from mrlm.ope.intervals.stream import StreamState
    from mrlm.ope.table import LoggedTable

    g = np.random.default_rng(0)
    state, seconds = StreamState(), 0.0
    for _ in range(n // _BATCH):
        # Two actions, logged 1:1, target 4:1, rates 0.2225 and 0.11: the value is 0.2.
        action = g.random(_BATCH) < 0.5
        reward = (g.random(_BATCH) < np.where(action, 0.11, 0.2225)).astype(float)
        user = g.integers(0, USERS, _BATCH)
        start = time.perf_counter()
        table = LoggedTable(
            cluster=user,
            target=np.where(action, 0.2, 0.8),
            propensity=np.full(_BATCH, 0.5),
            rewards=reward[:, None],
            objectives=("click",),
            q=np.where(action, 0.1, 0.2)[:, None],
            v=np.full((_BATCH, 1), 0.18),
        )
        state = state.add(ESTIMATORS["dr"](table))  # type: ignore[arg-type]
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    e = state.estimates()["click"]
    seconds += time.perf_counter() - start
    return {"seconds": seconds, "gib": peak_gib(), "z": (e.value - 0.2) / e.standard_error}


if __name__ == "__main__":
    print(json.dumps(_stream(int(sys.argv[1]))))
