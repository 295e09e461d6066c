"""Go back to an earlier champion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from mrlm_tasks import NAME, REASON, run_mrlm

from mrlm.messages.message import Message
from pipelines.settings.form_language import told

ABOUT = Message(
    "Make the champion before this one, or an earlier one, champion again. By hand only."
)


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    tags=["mrlm", "rollback"],
    doc_md=told(ABOUT),
    default_args={"owner": "mrlm", "retries": 1, "retry_delay": timedelta(seconds=30)},
    params={
        "actor": Param(
            type="string", minLength=1, title=told(Message("Your name, for the ledger")), **NAME
        ),
        "reason": Param(type="string", minLength=1, title=told(Message("Why")), **REASON),
        "to": Param(
            None,
            type=["integer", "null"],
            minimum=1,
            title=told(Message("Version; empty: the one before")),
        ),
    },
)
def rollback_champion() -> None:
    """Roll back, then check aliases against the ledger."""

    @task(pool="registry")
    def rollback() -> dict[str, Any]:
        """Move the alias back and write it into the ledger."""
        context = get_current_context()
        params = context["params"]
        to = ["--to", str(params["to"])] if params.get("to") else []
        said = ["--actor", params["actor"], "--reason", params["reason"]]
        # A retry of the task is the same request, and goes back no second version.
        return run_mrlm(["rollback", *said, "--request", str(context["run_id"]), *to])

    @task(pool="registry")
    def verify() -> dict[str, Any]:
        """Compare aliases and ledger."""
        return run_mrlm(["verify"])

    _ = rollback() >> verify()


rollback_champion()
