"""Numbers of a night that its expectations and its trailing nights are compared by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from pipelines.expectations import told_events

if TYPE_CHECKING:
    from pyspark.sql import Column

# A gap that chance explains never stops a night: at five standard errors about one true log in a
# million is stopped.
STANDARD_ERRORS = 5.0
TABLES = ("impressions", "feedback", "items")


def moment_columns() -> dict[str, Column]:
    """Aggregates over sampled prepared impressions, for ``propensity_moments``."""
    from pyspark.sql import functions as F

    c = F.col
    slot = c("sampled") & (c("propensity_kind") == "conditional") & (c("propensity") > 0)
    logged = slot & c("inverse_variance").isNotNull()
    # A row that is refused elsewhere must not end the count with an error.
    inverse = F.try_divide(F.lit(1.0), c("propensity"))

    def of_slots(value: Column) -> Column:
        return F.when(slot, value)

    return {
        "slots": F.count_if(slot),
        "candidates": F.avg(of_slots(c("candidate_count"))),
        "inverse": F.avg(of_slots(inverse)),
        "sample_variance": F.var_samp(of_slots(inverse - c("candidate_count"))),
        "exact_variance": F.avg(of_slots(c("inverse_variance"))),
        "logged": F.count_if(logged),
        "surprise": F.avg(F.when(logged, F.log("propensity") + c("entropy"))),
        "entropy": F.avg(of_slots(c("entropy"))),
        "surprise_variance": F.avg(of_slots(c("surprise_variance"))),
    }


def propensity_moments(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Sums over sampled slots with a conditional propensity, which can refute the logged ones.

    Where the shown item a of a slot with K candidates was really drawn with the logged p,
    E[1/p(a)] = K and E[log p(a)] = -H, the negative entropy of the slot's candidates. With logged
    candidate propensities q the variances are exact, sum(1/q) - K^2 and sum(q log^2 q) - H^2, so
    that a rare large 1/p cannot pass for an error, nor an error for it. Without them only 1/p is
    tested, by its sample variance.

    Keys: ``slots``, ``candidates`` (mean K), ``inverse_propensity_gap`` (mean 1/p over mean K,
    minus 1), ``inverse_propensity_error`` (its standard error), ``log_propensity_gap`` (mean of
    log p + H over mean H), ``log_propensity_error``; None where there is nothing to compute from.

    Args:
        row: values of ``moment_columns``.
    """
    out: dict[str, float | None] = dict.fromkeys(
        (
            "inverse_propensity_gap",
            "inverse_propensity_error",
            "log_propensity_gap",
            "log_propensity_error",
        )
    )
    slots, logged_slots = row["slots"], row["logged"]
    out |= {"slots": slots, "candidates": row["candidates"], "logged_slots": logged_slots}
    if slots > 1:
        exact = logged_slots == slots
        variance = row["exact_variance"] if exact else row["sample_variance"]
        out["inverse_propensity_gap"] = row["inverse"] / row["candidates"] - 1
        out["inverse_propensity_error"] = math.sqrt(max(variance, 0.0) / slots) / row["candidates"]
    if logged_slots > 1 and row["entropy"] > 1e-9:
        error = math.sqrt(max(row["surprise_variance"], 0.0) / logged_slots)
        out["log_propensity_gap"] = row["surprise"] / row["entropy"]
        out["log_propensity_error"] = error / row["entropy"]
    return out


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
