"""Finished cells of this room, by the version of the code that they came from."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._kept import Kept
from pipelines.contract.code_version import code_version

# Short runs that are kept as one line.
_TOGETHER = 20


def finished(part: str) -> Kept:
    """Those of a part, given its module's name."""
    digest = hashlib.sha256()
    own = sorted(path.stem for path in Path(__file__).parent.glob("_[a-z]*.py"))
    for name in [part, *(f"{__package__}.{stem}" for stem in own)]:
        importlib.import_module(name)
        digest.update(code_version(name).encode())
    return Kept("BENCH_META", "mrlm-meta.jsonl", digest.hexdigest()[:16])


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
