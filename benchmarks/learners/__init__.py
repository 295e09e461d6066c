"""What learns policies, side by side with peers on worlds whose truth is known: a module a part.

What is finished is kept, a line each, in the file that the environment variable ``BENCH_LEARNERS``
names (default: ``mrlm-learners.jsonl`` in the temporary folder), with the version of the code that
it came from. ``make bench-peers`` installs ``implicit``, a peer; where it is missing its rows are.
"""

from __future__ import annotations

from benchmarks._parts import parts_of, run_parts
from benchmarks.rows import Row


def parts() -> list[str]:
    """Names of the parts, each with ``run(quick)``."""
    return parts_of(__path__)


def run(quick: bool) -> list[Row]:
    """The rows of all parts."""
    return run_parts(__name__, __path__, quick)
