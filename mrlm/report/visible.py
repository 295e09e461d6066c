"""Text of others, made safe to print: nothing in it moves, hides or reorders what is around it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_ISOLATE, _END = "\u2068", "\u2069"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


def visible(text: str, most: int = 160) -> str:
    r"""The text with escapes for what cannot be seen; long text loses its middle.

    Control characters, line ends and marks that turn the direction of text become escapes, as in
    ``\x1b``. Words that run from right to left are isolated, so that they turn nothing but
    themselves (Unicode Standard Annex 9).

    Args:
        text: a name, or a message with names in it.
        most: characters that are kept of a longer text.
    """
    if len(text) > most:
        tail = most // 3
        text = f"{text[: most - tail - 1]}…{text[-tail:]}"
    found = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
    # Isolated last, and closed again by whoever cuts the text.
    if any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in found):
        return f"{_ISOLATE}{found}{_END}"
    return found


def closed(text: str) -> str:
    """The text, its isolated words ended where a cut took away their end."""
    return text + _END * (text.count(_ISOLATE) - text.count(_END))


def closed_lines(lines: Iterable[str]) -> list[str]:
    """Lines of one text, in each of which isolated words begin and end."""
    found: list[str] = []
    open_ = 0
    for line in lines:
        line = _ISOLATE * open_ + line
        open_ = line.count(_ISOLATE) - line.count(_END)
        found.append(closed(line))
    return found
