"""Off-policy evaluation, side by side with peers and with the truth: each part is a module here."""

from __future__ import annotations

import importlib
import pkgutil

from benchmarks.rows import Row


def parts() -> list[str]:
    """Names of the parts, each with ``run(quick)``."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def run(quick: bool) -> list[Row]:
    """The rows of all parts."""
    rows: list[Row] = []
    for name in parts():
        rows += importlib.import_module(f"{__name__}.{name}").run(quick)
    return rows
