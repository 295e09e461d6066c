"""A benchmark that is a room: its parts are the modules that have no underscore before the name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from benchmarks.rows import Row


def parts_of(path: Iterable[str]) -> list[str]:
    """Names of the parts of a room, given its ``__path__``; each has ``run(quick)``."""
    return sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))


def run_parts(room: str, path: Iterable[str], quick: bool) -> list[Row]:
    """The rows of all parts of the room of this name."""
    rows: list[Row] = []
    for name in parts_of(path):
        rows += importlib.import_module(f"{room}.{name}").run(quick)
    return rows
