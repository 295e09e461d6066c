"""Publish the champion's recommendations again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from mrlm_tasks import NIGHT, night_of, run_mrlm

from mrlm.messages.message import Message
from pipelines.settings.form_language import told

ABOUT = Message(
    "Publish the champion's recommendations again, after a rollback or a promotion by hand."
)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    tags=["mrlm", "publish"],
    doc_md=told(ABOUT),
    default_args={"owner": "mrlm", "retries": 2, "retry_delay": timedelta(seconds=30)},
    params={"night": Param(type="string", title=told(Message("Night")), **NIGHT)},
)
def publish_recommendations() -> None:
    """One task: the stage publish of a night."""

    @task
    def publish() -> dict[str, Any]:
        """Draw a list for every user of the night."""
        return run_mrlm(["stage", "publish", "--night", night_of(get_current_context())])

    publish()


publish_recommendations()
