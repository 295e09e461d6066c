"""Numbers of a night that its expectations and its trailing nights are compared by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pipelines.expectations import told_events

# A gap that chance explains never stops a night: at five standard errors about one true log in a
# million is stopped.
STANDARD_ERRORS = 5.0
TABLES = ("impressions", "feedback", "items")


def rounded(value: Any) -> Any:
    """JSON values with every number to nine digits, and none smaller than 1e-12.

    Sums depend in their last digits on the order of rows and the number of files, which are no
    content: a night has the same statistics however its rows lie.
    """
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{round(value, 12):.9g}")
    if isinstance(value, Mapping):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    return value


def shares(counts: Mapping[str, Any]) -> dict[str, float]:
    """Quarantined share of every table, and the share of impressions with an unknown item."""
    out = {}
    for table in (*TABLES, *_told(counts)):
        quarantined = sum(counts[table]["quarantined"].values())
        out[f"{table}_quarantined_share"] = quarantined / max(counts[table]["raw"], 1)
    unknown = counts["impressions"]["quarantined"].get("unknown_item", 0)
    out["unknown_item_share"] = unknown / max(counts["impressions"]["raw"], 1)
    return out


def volumes(counts: Mapping[str, Any]) -> dict[str, float]:
    """Clean rows of every table, and clean feedback per clean impression."""
    impressions, feedback = counts["impressions"]["clean"], counts["feedback"]["clean"]
    return {
        "impressions": impressions,
        "feedback": feedback,
        "items": counts["items"]["clean"],
        "feedback_rate": feedback / max(impressions, 1),
        **{table: counts[table]["clean"] for table in _told(counts)},
    }


def _told(counts: Mapping[str, Any]) -> tuple[str, ...]:
    """The optional table, where the night has it."""
    return (told_events.TABLE,) if told_events.TABLE in counts else ()


def against_trailing(
    now: Mapping[str, float], trailing: Sequence[Mapping[str, Any]], name: str
) -> float | None:
    """``now[name]`` over its median on the trailing nights; None without any, or at median 0."""
    values = [float(t[name]) for t in trailing if t.get(name) is not None]
    middle = median(values) if values else 0.0
    return now[name] / middle if middle else None
