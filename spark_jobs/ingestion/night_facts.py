"""What a night's rows say of it: hours of arrival, reopened nights, users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_jobs.contract.clock import NightClock
from spark_jobs.ingestion.counted import OfNight


def arrival_hours(rows: DataFrame, clock: NightClock) -> dict[str, dict[str, int]]:
    """Rows of each arrival night by the whole hours from its start to their ``ts``.

    Rows in quarantine count, rows whose time could not be read do not; hours more than two nights
    away count as the last of them.
    """
    hour = F.greatest(
        F.least(clock.hours_into(F.col("ts"), F.col("arrival")), F.lit(71)), F.lit(-48)
    )
    dated = rows.filter("_row_like and ts is not null")
    found: dict[str, dict[str, int]] = {}
    for row in sorted(dated.groupBy("arrival", hour.alias("hour")).count().collect()):
        found.setdefault(str(row["arrival"]), {})[str(row["hour"])] = row["count"]
    return found


def summary(tables: Mapping[str, OfNight], night: str, scrub: bool) -> dict[str, Any]:
    """What the clean rows say of a night."""
    shown, events = tables["impressions"].facts, tables["feedback"].facts
    nights = {*shown.get("nights", []), *events.get("nights", [])}
    scrubbed = {n: tables[n].facts.get("scrubbed", 0) for n in ("impressions", "items") if scrub}
    return {
        **({"scrubbed": scrubbed} if scrub else {}),
        "reopened": sorted(n for n in nights if n < night),
        "unattributed": events.get("unattributed", 0),
        "users": shown.get("users", 0),
        "events": events["events"],
        "late_events": events["late_events"],
    }
