"""A failed expectation in one line."""

from __future__ import annotations

from typing import Any

from mrlm.report.visible import visible

# Of what was seen or expected: the verdict has it whole.
_LONGEST = 500


def describe(failure: dict[str, Any]) -> str:
    """One line that says which expectation failed and with what."""
    saw, expected = (visible(failure[k], _LONGEST) for k in ("observed", "expected"))
    return f"{failure['expectation']}: saw {saw}, expected {expected}"
