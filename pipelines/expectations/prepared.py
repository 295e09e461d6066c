"""What the suites look at: the clean tables with the columns that a bandit log is judged by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

Counts = Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    """The frames of one night, cached; ``statistics`` has one row.

    Attributes:
        impressions: with candidate_count, inverse_ratio, propensity_sum, propensity_gap,
            nights_late.
        feedback: as it is.
        items: with text_length.
        statistics: shares and ratios of the whole night.
        inverse_error: standard error of the mean of inverse_ratio.
        figures: what later nights compare themselves with.
    """

    impressions: DataFrame
    feedback: DataFrame
    items: DataFrame
    statistics: DataFrame
    inverse_error: float
    figures: dict[str, float]

    def release(self) -> None:
        """Let go of the cached frames."""
        for frame in (self.impressions, self.feedback, self.items, self.statistics):
            frame.unpersist()


def prepare(
    spark: SparkSession, folder: Path, counts: Counts, trailing: Sequence[Mapping[str, float]]
) -> Prepared:
    """Read an ingest output folder.

    Args:
        spark: the session.
        folder: output of the ingest stage.
        counts: its counts.
        trailing: ``figures`` of passed nights.
    """
    impressions = _impressions(spark.read.parquet(str(folder / "impressions"))).cache()
    feedback = spark.read.parquet(str(folder / "feedback")).cache()
    items = (
        spark.read.parquet(str(folder / "items"))
        .withColumn("text_length", F.length(F.trim("text")))
        .cache()
    )
    found = impressions.agg(
        F.count("*").alias("rows"),
        F.mean("candidate_count").alias("candidates"),
        F.stddev_samp("inverse_ratio").alias("spread"),
    ).first()
    rows = int(found["rows"])
    figures = {
        "impressions": float(rows),
        "feedback_rate": counts["feedback"]["clean"] / max(rows, 1),
        "mean_candidates": float(found["candidates"] or 0.0),
    }
    shares = {
        "unknown_item_share": _share(counts, "impressions", "unknown_item"),
        "quarantined_share": max(
            sum(counts[t]["quarantined"].values()) / max(counts[t]["raw"], 1)
            for t in ("impressions", "feedback", "items")
        ),
        "row_count_ratio": _ratio(figures, trailing, "impressions"),
        "feedback_rate_ratio": _ratio(figures, trailing, "feedback_rate"),
    }
    schema = ", ".join(f"{name} double" for name in shares)
    return Prepared(
        impressions=impressions,
        feedback=feedback,
        items=items,
        statistics=spark.createDataFrame([tuple(shares.values())], schema).cache(),
        inverse_error=float(found["spread"] or 0.0) / math.sqrt(max(rows, 1)),
        figures=figures,
    )


def _impressions(clean: DataFrame) -> DataFrame:
    logged = "candidate_propensities"
    return clean.select(
        "*",
        F.size("candidates").alias("candidate_count"),
        (1.0 / (F.col("propensity") * F.size("candidates"))).alias("inverse_ratio"),
        F.expr(f"aggregate({logged}, 0d, (s, p) -> s + p)").alias("propensity_sum"),
        F.abs(
            F.expr(f"element_at({logged}, int(nullif(array_position(candidates, item_id), 0)))")
            - F.col("propensity")
        ).alias("propensity_gap"),
        F.datediff("arrival", "night").alias("nights_late"),
    )


def _share(counts: Counts, table: str, reason: str) -> float:
    found = counts[table]["quarantined"].get(reason, 0) / max(counts[table]["raw"], 1)
    return float(found)


def _ratio(
    figures: Mapping[str, float], trailing: Sequence[Mapping[str, float]], name: str
) -> float:
    """Tonight against the median of the trailing nights; 1 where there are none."""
    usual = median(t[name] for t in trailing) if trailing else 0.0
    return figures[name] / usual if usual > 0 else 1.0
