"""Run a range of past nights again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from mrlm_tasks import FIRST_NIGHT, FORCE, LAST_NIGHT, run_mrlm

from mrlm.messages.message import Message
from pipelines.settings.form_language import told

ABOUT = Message(
    "Run a range of past nights again: they learn and tune, judge nothing and promote nothing."
)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    tags=["mrlm", "replay"],
    doc_md=told(ABOUT),
    default_args={"owner": "mrlm", "retries": 1, "retry_delay": timedelta(seconds=30)},
    params={
        "first": Param(**FIRST_NIGHT),
        "last": Param(**LAST_NIGHT),
        "force": Param(False, **FORCE),
    },
)
def replay_nights() -> None:
    """One mapped task a night, one at a time, oldest first."""

    @task
    def nights() -> list[str]:
        """The nights of the range."""
        params = get_current_context()["params"]
        first, last = date.fromisoformat(params["first"]), date.fromisoformat(params["last"])
        return [(first + timedelta(days=i)).isoformat() for i in range((last - first).days + 1)]

    @task(max_active_tis_per_dagrun=1)
    def replay(night: str) -> dict[str, Any]:
        """Run one night without touching the registry."""
        force = ["--force"] if get_current_context()["params"]["force"] else []
        return run_mrlm(["night", "--dry-run", *force], night)

    replay.expand(night=nights())


replay_nights()
