"""A benchmark that is a room: its parts are the modules that have no underscore before the name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.rows import Row


@dataclass(frozen=True)
class Room:
    """A room by its name and its ``__path__``."""

    name: str
    path: Iterable[str]

    def parts(self) -> list[str]:
        """Names of the parts, each with ``run(quick)``."""
        found = [m.name for m in pkgutil.iter_modules(self.path)]
        return sorted(name for name in found if not name.startswith("_"))

    def run(self, quick: bool) -> list[Row]:
        """The rows of all parts."""
        rows: list[Row] = []
        for part in self.parts():
            rows += importlib.import_module(f"{self.name}.{part}").run(quick)
        return rows
