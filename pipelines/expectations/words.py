"""A failed expectation in one line."""

from __future__ import annotations

from typing import Any

from mrlm.messages.message import Message
from mrlm.report.night_page import plain_words
from mrlm.report.visible import visible


def describe(failure: dict[str, Any]) -> str:
    """One line that says what was seen, in plain words where there are, and what failed by it."""
    seen = plain_words(failure)
    name = visible(failure["expectation"])
    if seen.startswith(name):
        return seen
    rule = failure["expectation"] if failure["expectation"] == name else name
    return Message("{text} ({why})", text=seen, why=rule)
