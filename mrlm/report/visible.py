"""Text of people and logs as it may be shown: nothing hidden, nothing that a terminal obeys."""

from __future__ import annotations

import re
import unicodedata

# Emoji and several scripts are written with the two joiners.
_KEPT = "\u200c\u200d"
# Other control, format and separator characters: they hide text, turn it round, or command.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
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
    return f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
