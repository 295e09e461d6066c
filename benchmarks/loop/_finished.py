"""Finished lives of this room, by the version of the code and the settings that they came from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from benchmarks._demonstration import version
from benchmarks._kept import Kept
from benchmarks.loop._faults import Faults
from benchmarks.loop._life import life
from benchmarks.loop._world import Size

Lives = dict[str, list[dict[str, Any]]]
"""System to its lives, a seed each."""


def lives(
    part: str, systems: Iterable[str], size: Size, faults: Faults, late: int | None = None
) -> Lives:
    """Every system through every world, seed by seed; those of a killed run are there already.

    ``late`` as for ``life``.
    """
    kept = Kept("BENCH_LOOP", "mrlm-loop.jsonl", version(part))
    names = list(systems)
    planned = str(sorted(faults.items()))
    told: list[str | int] = [
        size.nights,
        size.users or 0,
        size.max_slots,
        planned,
        *([] if late is None else [late]),
    ]
    found: Lives = {name: [] for name in names}
    for seed in range(size.seeds):
        for name in names:
            key = [name, seed, *told]
            found[name].append(kept.of(key, partial(life, name, seed, size, faults, late)))
    return found
