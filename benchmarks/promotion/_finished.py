"""Finished cells of this room, by the version of the code that they came from."""

from __future__ import annotations

from benchmarks._kept import Kept, code_of


def finished(part: str) -> Kept:
    """Those of a part, given its module's name."""
    return Kept("BENCH_PROMOTION", "mrlm-promotion.jsonl", code_of(part))
