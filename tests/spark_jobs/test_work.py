"""Rows that are kept for several jobs: made once, and freed at the end."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F

from spark_jobs.runtime.session import is_small
from spark_jobs.runtime.work import Work

pytestmark = pytest.mark.spark
WHOLE_STAGE = "spark.sql.codegen.wholeStage"


@pytest.mark.parametrize("small", [True, False])
def test_kept_rows_are_made_once_and_freed(spark: Any, small: bool) -> None:
    store = spark.sparkContext._jsc.sc()
    before, generated = len(store.getRDDStorageInfo()), spark.conf.get(WHOLE_STAGE)
    spark.conf.set(WHOLE_STAGE, str(not small).lower())
    try:
        assert is_small(spark) is small
        with Work() as work:
            kept = work.keep(spark.range(50).withColumn("drawn", F.rand()))
            first = kept.collect()
            twice = kept.join(kept.withColumnRenamed("drawn", "again"), "id")
            assert twice.filter("drawn = again").count() == 50
            assert len(store.getRDDStorageInfo()) == before + 1
            # What is made of kept rows has a plan that begins with them, where the night is small.
            made = work.keep(kept.filter("id < 7"))
            plan = made.select("id")._jdf.queryExecution().analyzed().toString()
            assert ("Range" not in plan) is small
            assert made.collect() == first[:7]
    finally:
        spark.conf.set(WHOLE_STAGE, generated)
    assert len(store.getRDDStorageInfo()) == before
