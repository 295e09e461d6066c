"""Do the data stages of nights that wait for their turn to learn.

To catch up: trigger it for the range, and `nightly_retrain` for each of its nights. While one night
learns, the data of the next ones is read, and each finds its own data stages done. Every night
before the range must have been read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from mrlm_tasks import FIRST_NIGHT, LAST_NIGHT, run_mrlm


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["mrlm", "replay"],
    doc_md=__doc__,
    default_args={"owner": "mrlm", "retries": 1, "retry_delay": timedelta(seconds=30)},
    params={
        "first": Param(**FIRST_NIGHT),
        "last": Param(**LAST_NIGHT),
    },
)
def read_ahead() -> None:
    """One task for the range: the nights share a Spark session."""

    @task
    def read() -> dict[str, Any]:
        """Ingest, validate, embed and build each night, oldest first."""
        params = get_current_context()["params"]
        return run_mrlm(["read-ahead"], params["first"], params["last"])

    read()


read_ahead()
