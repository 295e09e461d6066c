"""Something to know of a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# A larger share of the sampled rows is no accident.
ODD = 0.01


@dataclass(frozen=True)
class LogFinding:
    """Something to know of a log.

    Attributes:
        kind: ``missing``, ``wrong`` or ``note``.
        table: that it is about; empty: the whole log.
        text: in plain words, with what to do.
        stops: whether no night can be evaluated while it is so.
    """

    kind: Literal["missing", "wrong", "note"]
    table: str
    text: str
    stops: bool = False
