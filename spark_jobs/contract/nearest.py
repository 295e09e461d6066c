"""What a name that nobody knows may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALIKE = 0.6
_SHOWN = 3


def meant(name: str, valid: Iterable[str]) -> str:
    """``; did you mean A or B?`` with the valid names that are most alike, else a full stop."""
    near = difflib.get_close_matches(name, sorted(valid), n=_SHOWN, cutoff=_ALIKE)
    return f"; did you mean {' or '.join(near)}?" if near else "."
