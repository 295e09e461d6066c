"""Do the data stages of nights that wait for their turn to learn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from mrlm_tasks import FIRST_NIGHT, LAST_NIGHT, run_mrlm

from mrlm.messages.message import Message
from pipelines.settings.form_language import told

ABOUT = Message(
    "Do the data stages of nights that wait for their turn to learn.\n\n"
    "To catch up: trigger it for the range, and `nightly_retrain` for each of its "
    "nights. While one night learns, the data of the next ones is read, and each finds "
    "its own data stages done. Every night before the range must have been read."
)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["mrlm", "replay"],
    doc_md=told(ABOUT),
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
