"""A person decides on a judged version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Asset, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from mrlm_tasks import REASON, RUN_KEY, run_mrlm

from mrlm.messages.message import Message
from pipelines.settings.form_language import in_every_language, told

ABOUT = Message(
    "A person decides on a judged version.\n\n"
    "It runs when a night asks for a review, or by hand with a run key; waiting for a "
    "person blocks no night. The form shows the decision memo; the ledger records the "
    "user who was logged in when they answered. No answer within the limit is a refusal. "
    "The promotion itself re-reads the registry: an approval of evidence that names "
    "another champion promotes nothing."
)

APPROVE, REJECT = Message("Approve"), Message("Reject")
# A template of Airflow: what the task before has read.
_SHOWN = "{{{{ ti.xcom_pull(task_ids='evidence')['{}'] }}}}"
REVIEW_WANTED = Asset(name="review_wanted", uri="mrlm://registry/review")


def _run_key(context: Any) -> str:
    """Run key to decide on: the parameter, else what the night that asked for a review names."""
    if context["params"].get("run_key"):
        return str(context["params"]["run_key"])
    for events in (context.get("triggering_asset_events") or {}).values():
        for event in events:
            if (event.extra or {}).get("run_key"):
                return str(event.extra["run_key"])
    raise AirflowFailException("trigger this with the parameter run_key; 'mrlm status' lists them")


@dag(
    schedule=[REVIEW_WANTED],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,
    tags=["mrlm", "review"],
    doc_md=told(ABOUT),
    default_args={"owner": "mrlm", "retries": 1, "retry_delay": timedelta(seconds=30)},
    params={
        "run_key": Param(
            None, type=["string", "null"], title=told(Message("Run key of the version")), **RUN_KEY
        )
    },
)
def promotion_review() -> None:
    """Show the evidence, wait, record the word, promote."""

    @task
    def evidence() -> dict[str, Any]:
        """Read the version's decision memo from the registry."""
        return run_mrlm(["review", "--json"], _run_key(get_current_context()))

    # Not the ApprovalOperator: it skips what follows a rejection, and the ledger would not know.
    decision = HITLOperator(
        task_id="decision",
        subject=told(Message("Promote {run_key}?", run_key=_SHOWN.format("run_key"))),
        body=_SHOWN.format("form"),
        options=[told(APPROVE), told(REJECT)],
        defaults=told(REJECT),
        response_timeout=timedelta(hours=12),
        params={"reason": Param("", type="string", title=told(Message("Why")), **REASON)},
    )

    @task(trigger_rule="none_failed", pool="registry")
    def record(shown: dict[str, Any]) -> dict[str, Any]:
        """Write the approval or the refusal into the ledger; fails where nobody answered."""
        answer = get_current_context()["ti"].xcom_pull(task_ids="decision")
        if not answer or not answer.get("chosen_options"):
            # Somebody marked the task a success by hand: that is no decision.
            raise AirflowFailException("no answer is recorded; nothing is decided")
        approved = answer["chosen_options"][0] in in_every_language(APPROVE)
        reason = (answer.get("params_input") or {}).get("reason") or "no reason given"
        who = (answer.get("responded_by_user") or {}).get("name") or ""
        if not who and not approved:
            who = "nobody answered in time"
        if who.lower() in {"", "anonymous"}:
            raise AirflowFailException(
                "Airflow does not know who answered: switch its login on, and decide again"
            )
        return run_mrlm(
            [
                *("decide", "--approve" if approved else "--reject"),
                *("--actor", who, "--reason", reason),
            ],
            shown["run_key"],
        )

    @task(pool="registry")
    def promote(word: dict[str, Any]) -> dict[str, Any]:
        """Move the alias if the word was an approval."""
        if word["decision"] != "approved":
            raise AirflowSkipException(f"rejected by {word['actor']}")
        return run_mrlm(["promote", "--actor", word["actor"]], word["run_key"])

    shown = evidence()
    word = record(shown)
    _ = shown >> decision >> word
    promote(word)


promotion_review()
