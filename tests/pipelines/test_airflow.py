"""The DAGs through Airflow's own scheduler: a night, a review by a person, a rollback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from pipelines.local_airflow import LocalAirflow
from pipelines.night import closing_of
from pipelines.registry import champion_version, place_of
from pipelines.stages import ORDER
from pipelines.summary import manifests_of
from tests.deployment import NIGHTS, Deployment

pytestmark = [pytest.mark.night, pytest.mark.spark]

NIGHT = NIGHTS[4]


@pytest.fixture(scope="module")
def airflow(deployment: Deployment) -> Iterator[LocalAirflow]:
    workspace = deployment.context(NIGHT).workspace
    made = LocalAirflow(workspace, deployment.settings_path)
    made.start()
    ours = [psutil.Process(s.pid) for s in made.processes._read()]
    family = [*ours, *(c for p in ours for c in p.children(recursive=True))]
    try:
        yield made
    finally:
        made.stop()
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not made.processes.record.exists()


def states(airflow: LocalAirflow, dag: str, run: str) -> dict[str, str]:
    found = airflow.request("GET", f"dags/{dag}/dagRuns/{run}/taskInstances?limit=100")
    return {t["task_id"]: t["state"] for t in found["task_instances"]}


def test_a_night_through_the_scheduler(airflow: LocalAirflow, deployment: Deployment) -> None:
    run = airflow.trigger("nightly_retrain", {"night": NIGHT})
    ended = airflow.wait("nightly_retrain", run)
    found = states(airflow, "nightly_retrain", run)
    assert ended == "success", found
    assert {found[n] for n in (*ORDER, "close")} == {"success"}
    assert found["request_review"] == "skipped"
    context = deployment.context(NIGHT)
    assert list(manifests_of(context)) == list(ORDER)
    closing = closing_of(context)
    assert closing is not None
    assert closing.verdict in {"promoted", "refused"}
    assert not (context.workspace.locks / f"night-{NIGHT}.json").exists()


def test_a_wrong_night_fails_at_once_and_is_red(airflow: LocalAirflow) -> None:
    run = airflow.trigger("nightly_retrain", {"night": "2020-01-01"})
    assert airflow.wait("nightly_retrain", run) == "failed"
    path = f"dags/nightly_retrain/dagRuns/{run}/taskInstances/ingest"
    assert airflow.request("GET", path)["try_number"] == 1


def answer(airflow: LocalAirflow, run: str, body: dict[str, Any]) -> None:
    path = f"dags/promotion_review/dagRuns/{run}/taskInstances/decision/-1/hitlDetails"
    deadline = time.monotonic() + 120
    while states(airflow, "promotion_review", run).get("decision") != "awaiting_input":
        assert time.monotonic() < deadline, states(airflow, "promotion_review", run)
        time.sleep(1)
    # An answer within the second in which the scheduler books the pause is lost to a retry.
    time.sleep(8)
    airflow.request("PATCH", path, body)


def test_a_person_rejects_and_the_ledger_knows_who(
    airflow: LocalAirflow, deployment: Deployment
) -> None:
    context = deployment.context(NIGHT)
    place = place_of(context.settings, context.workspace)
    before = champion_version(place)
    run = airflow.trigger("promotion_review", {"run_key": context.run_key})
    form = {"name": "Ada", "reason": "the list looks odd"}
    answer(airflow, run, {"chosen_options": ["Reject"], "params_input": form})
    airflow.wait("promotion_review", run)
    found = states(airflow, "promotion_review", run)
    assert (found["record"], found["promote"]) == ("success", "skipped")
    words = [e for e in place.ledger.entries() if e.kind == "rejected"]
    assert [(e.run_key, e.actor, e.reason) for e in words] == [
        (context.run_key, "Ada", "the list looks odd")
    ]
    assert champion_version(place) == before


def test_an_approval_without_a_name_decides_nothing(
    airflow: LocalAirflow, deployment: Deployment
) -> None:
    context = deployment.context(NIGHT)
    place = place_of(context.settings, context.workspace)
    before = place.ledger.entries()
    run = airflow.trigger("promotion_review", {"run_key": context.run_key})
    nobody = {"name": "", "reason": ""}
    answer(airflow, run, {"chosen_options": ["Approve"], "params_input": nobody})
    assert airflow.wait("promotion_review", run) == "failed"
    assert place.ledger.entries() == before


def test_rollback_needs_an_earlier_champion_and_is_written_down(
    airflow: LocalAirflow, deployment: Deployment
) -> None:
    context = deployment.context(NIGHT)
    place = place_of(context.settings, context.workspace)
    before = champion_version(place)
    run = airflow.trigger("rollback_champion", {"actor": "Grace", "reason": "a drill"})
    ended = airflow.wait("rollback_champion", run)
    if before == 1:
        # Nothing was promoted, so there is nothing to go back to.
        assert ended == "failed"
        return
    assert ended == "success", states(airflow, "rollback_champion", run)
    assert champion_version(place) == 1
    last = place.ledger.entries()[-1]
    assert (last.kind, last.actor, last.reason) == ("rolled_back", "Grace", "a drill")
