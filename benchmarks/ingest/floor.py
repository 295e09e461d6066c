"""Spark's bare floor for a night of impressions: read, check, one shuffle of keys, write.

What no ingestion in Spark can do without: ``python -m benchmarks.ingest.floor job.json``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.ingest._process import Job, finish
from spark_jobs.runtime.session import spark_session

_SCHEMA = """request_id string, ts timestamp, user_id string, scene string, position int,
    item_id string, propensity double, candidates array<string>,
    candidate_propensities array<double>, propensity_kind string, policy_id string"""


def ingest(spark: SparkSession, job: Job) -> int:
    """Write the impressions whose own fields are right, each key once; returns their number."""
    place = F.struct(F.expr("_metadata.file_path"), F.monotonically_increasing_id())
    rows = _read(spark, job).withColumn("place", place)
    keys = rows.filter(_CHECK).select("request_id", "position", "place", "ts")
    number = F.row_number().over(Window.partitionBy("request_id", "position").orderBy("ts"))
    again = keys.withColumn("number", number).filter("number > 1").select("place")
    first = rows.filter(_CHECK).join(F.broadcast(again), "place", "left_anti")
    first.drop("place", "user_id").write.parquet(f"{job.out}/impressions")
    return spark.read.parquet(f"{job.out}/impressions").count()


_CHECK = """request_id is not null and item_id is not null and ts is not null
    and propensity between 5e-324 and 1 and array_contains(candidates, item_id)
    and size(candidates) = size(candidate_propensities)"""


def _read(spark: SparkSession, job: Job) -> DataFrame:
    folder = job.tables["impressions"]
    if job.form == "parquet":
        return spark.read.parquet(folder)
    return spark.read.schema(_SCHEMA).json(folder)


def main() -> None:
    """Run the job in the JSON file that the first argument names."""
    job = Job.read(Path(sys.argv[1]))
    spark = spark_session(size=job.bytes())
    finish(lambda: ingest(spark, job))


if __name__ == "__main__":
    main()
