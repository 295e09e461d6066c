"""Names of columns in a message."""

from __future__ import annotations

from collections.abc import Iterable

_NAMES, _LETTERS = 20, 60


def listed(names: Iterable[str]) -> str:
    """Names as a message shows them: not all of many, and not all of a long one."""
    every = [*names]
    short = [n if len(n) <= _LETTERS else n[:_LETTERS] + "…" for n in every]
    more = len(every) - _NAMES
    return f"{short[:_NAMES]}" + (f" and {more} more" if more > 0 else "")
