from __future__ import annotations

from typing import Any

from pyspark.sql import functions as F

from pipelines.expectations.one_pass import sums, sums_and_rows


def test_sums_are_of_all_rows_and_the_table_of_some(spark: Any) -> None:
    rows = spark.range(0, 1_000, numPartitions=3).withColumn("half", F.col("id") / 2)
    columns = {"rows": F.count("*"), "most": F.max("half"), "odd": F.count_if(F.expr("id % 2 = 1"))}
    found, table = sums_and_rows(rows, columns, lambda seen: seen.filter("id < 10").select("id"))
    assert found == sums(rows, columns) == {"rows": 1_000, "most": 499.5, "odd": 500}
    assert sorted(table["id"].to_pylist()) == list(range(10))


def test_sums_of_no_rows_are_there(spark: Any) -> None:
    rows = spark.range(0)
    found, table = sums_and_rows(rows, {"rows": F.count("*"), "most": F.max("id")}, lambda r: r)
    assert found == {"rows": 0, "most": None}
    assert len(table) == 0


def test_no_aggregates_ask_nothing(spark: Any) -> None:
    assert sums(spark.range(1), {}) == {}
