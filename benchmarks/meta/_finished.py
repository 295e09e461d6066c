"""Finished cells of this room, by the version of the code that they came from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks._kept import Kept, code_of

# Short runs that are kept as one line.
_TOGETHER = 20


def finished(part: str) -> Kept:
    """Those of a part, given its module's name."""
    return Kept("BENCH_META", "mrlm-meta.jsonl", code_of(part))


def short_runs(part: str, cell: Callable[[int], dict[str, Any]], runs: int) -> list[dict[str, Any]]:
    """The cells of seeds from 0, twenty a line."""
    kept = finished(part)

    def some(first: int) -> list[dict[str, Any]]:
        return [cell(seed) for seed in range(first, first + _TOGETHER)]

    return [
        found
        for first in range(0, runs, _TOGETHER)
        for found in kept.of([first], partial(some, first))
    ]
