"""A Spark session for the expectation suites."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def spark():
    from spark_jobs.session import spark_session

    # Other rooms' fixtures may share it: it ends with the process.
    return spark_session(driver_memory="1g", shuffle_partitions=2)
