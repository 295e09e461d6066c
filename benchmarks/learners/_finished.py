"""Finished cells of this room, by the version of the code and the settings that they came from."""

from __future__ import annotations

from benchmarks._demonstration import version
from benchmarks._kept import Kept


def finished(part: str) -> Kept:
    """Those of a part, given its module's name."""
    return Kept("BENCH_LEARNERS", "mrlm-learners.jsonl", version(part))
