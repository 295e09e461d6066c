"""One text for equal data, and its fingerprint."""

from __future__ import annotations

import hashlib
import json


def canonical_json(data: object) -> str:
    """One JSON text for equal data: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(
        data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )


def fingerprint_of(data: object) -> str:
    """SHA-256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()
