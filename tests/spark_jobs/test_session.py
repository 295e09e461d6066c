from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spark_jobs.runtime.session import LARGE_BYTES, _submitted, fit


def test_a_night_gets_the_session_that_its_size_asks_for():
    small, large, huge = fit(0), fit(LARGE_BYTES), fit(LARGE_BYTES * 1000)
    assert (small.master, small.driver_memory, small.optimised) == ("local[2]", "2g", False)
    assert (large.master, large.driver_memory, large.optimised) == ("local[*]", "4g", True)
    assert small.shuffle_partitions < large.shuffle_partitions < huge.shuffle_partitions <= 200
    assert fit(LARGE_BYTES - 1) == small


def test_a_clusters_defaults_do_not_decide_the_night_of_a_row(monkeypatch):
    told = {"spark.master": "spark://m:7077", "spark.sql.session.timeZone": "America/New_York"}
    monkeypatch.setattr("pyspark.SparkContext._ensure_initialized", lambda: None)
    monkeypatch.setattr("pyspark.SparkConf.__init__", lambda _: None)
    monkeypatch.setattr("pyspark.SparkConf.getAll", lambda _: list(told.items()))
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    assert _submitted() == {}
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    assert _submitted() == {"spark.master": "spark://m:7077"}


@pytest.mark.spark
def test_a_large_night_after_a_small_one_gets_another_java_and_settings_win():
    program = """
from spark_jobs.runtime.session import LARGE_BYTES, spark_session

def told(spark):
    java = spark._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean()
    return (
        java.getPid(),
        "-XX:TieredStopAtLevel=1" in list(java.getInputArguments()),
        spark.conf.get("spark.sql.codegen.wholeStage"),
        spark.conf.get("spark.sql.shuffle.partitions"),
        spark.conf.get("spark.driver.memory"),
    )

config = {"spark.driver.memory": "600m"}
small = told(spark_session(java="packaged", config=config))
assert told(spark_session(size=LARGE_BYTES - 1)) == small
assert small[1:] == (True, "false", "4", "600m"), small
large = told(spark_session(java="packaged", config=config, shuffle_partitions=3, size=LARGE_BYTES))
assert large[0] != small[0]
assert large[1:] == (False, "true", "3", "600m"), large
spark = spark_session(size=0)
assert told(spark) == large
assert spark.range(100).selectExpr("sum(id)").first()[0] == 4950
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=os.environ
    )
    assert done.returncode == 0, done.stderr
