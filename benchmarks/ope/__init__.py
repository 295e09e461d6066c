"""Off-policy evaluation, side by side with peers and with the truth: each part is a module here."""

from __future__ import annotations

from benchmarks._parts import parts_of, run_parts
from benchmarks.rows import Row


def parts() -> list[str]:
    """Names of the parts, each with ``run(quick)``."""
    return parts_of(__path__)


def run(quick: bool) -> list[Row]:
    """The rows of all parts."""
    return run_parts(__name__, __path__, quick)
