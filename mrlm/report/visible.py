"""Text of people and logs as it may be shown: nothing hidden, nothing that a terminal obeys."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Emoji and several scripts are written with the two joiners.
_KEPT = "\u200c\u200d"
# Other control, format and separator characters: they hide text, turn it round, or command.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ISOLATE, _END = "\u2068", "\u2069"
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
# What CommonMark and GitHub's tables read as markup. A bracket alone is none: a link needs what
# follows its closing one, here or in a definition.
_MARKUP = re.compile(r"[\\`*|~]|\](?=[(:\[])|(?<!\w)_|_(?!\w)")


def visible(text: object, limit: int | None = None) -> str:
    r"""The text on one line, with control and format characters such as ``\u202e`` spelt out.

    Args:
        text: anything; shown by ``str``.
        limit: longest text that is shown whole, in characters; of a longer one the beginning is
            shown, with its length.
    """
    shown = str(text)
    more = ""
    if limit is not None and len(shown) > limit:
        shown, more = shown[:limit], f"… ({len(shown)} characters)"
    if not shown.isprintable():
        shown = "".join(_character(c) for c in shown)
    return shown + more


def shortened(text: object, most: int = 160) -> str:
    """The visible text; of a long one beginning and end, by which names are told apart.

    Args:
        text: anything; shown by ``str``.
        most: characters that are kept of a longer text.
    """
    shown = str(text)
    if len(shown) > most:
        tail = most // 3
        shown = f"{shown[: most - tail - 1]}…{shown[-tail:]}"
    # Names that look the same must not be: joiners and odd spaces are spelt out too.
    return "".join(c if c.isprintable() else _spelt(c) for c in visible(shown))


def isolated(text: object, most: int = 160) -> str:
    """The shortened text for a line of a terminal: what runs from right to left turns itself only.

    Unicode Standard Annex 9, isolates.

    Args:
        text: anything; shown by ``str``.
        most: characters that are kept of a longer text.
    """
    found = shortened(text, most)
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


def markdown(text: object, limit: int | None = None) -> str:
    """The text as Markdown that shows it: no link, image, markup, HTML or table cell of its own.

    Args:
        text: anything; shown by ``str``.
        limit: see ``visible``.
    """
    shown = _MARKUP.sub(lambda found: f"\\{found[0]}", visible(text, limit))
    # Not every reader of Markdown knows a backslash before these.
    return shown.replace("&", "&amp;").replace("<", "&lt;")


def _character(c: str) -> str:
    if c in "\n\r\t":
        return " "
    if c in _KEPT or unicodedata.category(c) not in _HIDDEN:
        return c
    return _spelt(c)


def _spelt(c: str) -> str:
    return f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
