"""What had been shown, as far as each night knows: events belong to that."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.contract.schemas import CLEAN as SCHEMAS
from spark_jobs.contract.schemas import LEFT_OUT
from spark_jobs.ingestion.ingest_job import Nights, Previous
from spark_jobs.runtime import output


def known_shows(
    spark: SparkSession, nights: Nights, taken: DataFrame, left_out: DataFrame
) -> DataFrame:
    """request_id, item_id, night and ``taken`` of the impressions that each ``arrival`` knows.

    Impressions that validation stopped were shown all the same: their events are not lost ones.
    """
    stopped = [f"{p.folder}/impressions" for p in nights.earlier if "impressions" not in p.tables]
    schema = SCHEMAS["impressions"]
    keys = ("request_id", "item_id", "night")
    parts = [
        (True, taken.select(*keys, "arrival")),
        (True, output.read(spark, nights.folders("impressions"), schema)),
        (False, left_out.select(*keys, "arrival")),
        (False, output.read(spark, stopped, schema)),
        *((False, _left_out_of(spark, p)) for p in nights.earlier),
    ]
    marked = [
        part.select(*keys, _arrivals_that_know(nights), F.lit(is_taken).alias("taken"))
        for is_taken, part in parts
        if part is not None
    ]
    return reduce(DataFrame.unionByName, marked)


def _left_out_of(spark: SparkSession, earlier: Previous) -> DataFrame | None:
    folder = f"{earlier.folder}/left_out"
    rows = output.read(spark, [folder] if Path(folder).exists() else [], LEFT_OUT)
    return None if rows is None else rows.withColumn("arrival", F.to_date(F.lit(earlier.night)))


def _arrivals_that_know(nights: Nights) -> Column:
    """The nights, one a row, that look at a row which came on its ``arrival``."""
    if len(nights.names) == 1:
        return F.to_date(F.lit(nights.names[0])).alias("arrival")
    came = F.col("arrival")
    looking = F.filter(
        F.array(
            *[
                F.struct(F.to_date(F.lit(n)).alias("night"), F.to_date(F.lit(s)).alias("since"))
                for n, s in nights.since.items()
            ]
        ),
        lambda n: (n["since"] <= came) & (came <= n["night"]),
    )
    return F.explode(F.transform(looking, lambda n: n["night"])).alias("arrival")
