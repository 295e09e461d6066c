"""A share of a night's requests, always the same ones, whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

_PARTS = 1_000_000


def of_requests(share: float) -> Column:
    """Whether a row's request is among a share of them, in (0, 1], by the hash of its name."""
    from pyspark.sql import functions as F

    if share >= 1:
        return F.lit(True)
    return F.pmod(F.xxhash64("request_id"), F.lit(_PARTS)) < int(share * _PARTS)
