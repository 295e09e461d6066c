"""One night: from raw logs to a judged, registered policy."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, CronPartitionTimetable, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from mrlm_tasks import FORCE, NIGHT, WEIGHTS, arguments_of, night_of, run_mrlm

from mrlm.messages.message import Message
from pipelines.settings.form_language import told

ABOUT = Message(
    "One night: from raw logs to a judged, registered policy.\n\n"
    "Scheduled every night for the night before, and by hand with parameters. Each task "
    "runs one stage of `mrlm`; a stage whose inputs did not change says so and is done. "
    "A night that validation stops still publishes the champion's recommendations, and "
    "ends red.\n\n"
    "The schedule comes from `MRLM_SCHEDULE` (a cron line in UTC, or `manual`), the "
    "settings from `MRLM_SETTINGS`."
)

SCHEDULE = os.environ.get("MRLM_SCHEDULE", "0 2 * * *")

CLEAN_LOG = Asset(name="clean_log", uri="mrlm://lake/ingest")
EMBEDDINGS = Asset(name="embeddings", uri="mrlm://lake/embed")
BANDIT_LOG = Asset(name="bandit_log", uri="mrlm://lake/build_log")
REGISTERED = Asset(name="registered_version", uri="mrlm://registry/version")
REVIEW_WANTED = Asset(name="review_wanted", uri="mrlm://registry/review")


def stage(name: str, **options: Any) -> Any:
    """A task that runs one stage."""

    @task(task_id=name, **options)
    def run() -> dict[str, Any]:
        context = get_current_context()
        params = context["params"]
        skipped_in_dry_run = {"evaluate", "register", "gate", "promote", "publish"}
        if params.get("dry_run") and name in skipped_in_dry_run:
            raise AirflowSkipException("dry run: gate nights and registry stay as they are")
        return run_mrlm(
            [
                *("stage", name, "--night", night_of(context), "--owner", context["run_id"]),
                *arguments_of(params, stage=True),
            ]
        )

    run.__doc__ = f"Stage {name} of the night."
    return run()


@dag(
    schedule=None
    if SCHEDULE == "manual"
    else CronPartitionTimetable(SCHEDULE, timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["mrlm", "nightly"],
    doc_md=told(ABOUT),
    default_args={"owner": "mrlm", "retries": 2, "retry_delay": timedelta(seconds=30)},
    params={
        "night": Param(None, type=["string", "null"], title=told(Message("Night")), **NIGHT),
        "weights": Param(
            None,
            type=["object", "null"],
            title=told(Message("Objective weights fixed by hand")),
            **WEIGHTS,
        ),
        "learner": Param(
            None,
            type=["string", "null"],
            enum=[
                None,
                "cost_sensitive",
                "ips_gradient",
                "logarithmic_smoothing",
                "poem",
                "policy_gradient",
                "q_learning",
                "snips_gradient",
                "top_k_reinforce",
                "weighted_classification",
                "double_q_learning",
                "implicit_q_learning",
                "batch_constrained_q_learning",
                "advantage_weighted_regression",
                "clipped_policy_optimisation",
                "vector_policy_iteration",
            ],
            title=told(Message("Learn with this learner alone")),
        ),
        "force": Param(False, **FORCE),
        "dry_run": Param(
            False,
            type="boolean",
            title=told(Message("Learn and tune; leave gate nights and registry")),
        ),
    },
)
def nightly_retrain() -> None:
    """Build the graph of one night."""
    ingest = stage("ingest", outlets=[CLEAN_LOG])
    validate = stage("validate")
    embed = stage("embed", outlets=[EMBEDDINGS], pool="gpu")
    build_log = stage("build_log", outlets=[BANDIT_LOG])
    learn_behaviour = stage("learn_behaviour", pool="gpu")
    learn_policy = stage("learn_policy", pool="gpu")
    tune_weights = stage("tune_weights")
    evaluate = stage("evaluate")
    register = stage("register", outlets=[REGISTERED], pool="registry")
    gate = stage("gate", pool="registry")
    promote = stage("promote", pool="registry")
    publish = stage("publish", trigger_rule="all_done")

    @task(trigger_rule="all_done", retries=1)
    def close() -> dict[str, Any]:
        """Record how the night ended; red when it was stopped or failed."""
        context = get_current_context()
        return run_mrlm(
            [
                *("close", "--night", night_of(context), "--owner", context["run_id"]),
                *arguments_of(context["params"], stage=False),
            ]
        )

    @task(outlets=[REVIEW_WANTED])
    def request_review(ending: dict[str, Any], outlet_events: Any = None) -> None:
        """Ask for a person where the settings leave the decision to one."""
        if ending.get("verdict") != "waiting":
            raise AirflowSkipException("nobody needs to decide")
        outlet_events[REVIEW_WANTED].extra = {"run_key": ending["run_key"]}

    _ = ingest >> [embed, validate]
    _ = validate >> build_log
    _ = [embed, build_log] >> learn_behaviour >> learn_policy >> tune_weights >> evaluate
    _ = evaluate >> register >> gate >> promote >> publish
    ending = close()
    _ = publish >> ending
    request_review(ending)


nightly_retrain()
