"""Numbers as JSON can hold them: None for NaN and infinities."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def finite(x: float) -> float | None:
    """The number, or None where it is not finite."""
    return float(x) if math.isfinite(x) else None


def plain_fields(found: DataclassInstance) -> dict[str, Any]:
    """The fields of a dataclass, with None for floats that are not finite."""
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v
        for k, v in asdict(found).items()
    }
