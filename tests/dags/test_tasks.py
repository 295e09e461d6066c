from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))
import mrlm_tasks

START = datetime(2026, 11, 20, 2, tzinfo=UTC)


def run(**fields: Any) -> SimpleNamespace:
    empty = {"partition_key": None, "data_interval_start": None, "logical_date": None}
    return SimpleNamespace(**{**empty, **fields})


@pytest.mark.parametrize(
    ("context", "night"),
    [
        (
            {"dag_run": run(partition_key="2026-11-19"), "params": {"night": "2026-11-01"}},
            "2026-11-19",
        ),
        ({"dag_run": run(), "params": {"night": "2026-11-01"}}, "2026-11-01"),
        ({"dag_run": run(data_interval_start=START), "params": {}}, "2026-11-20"),
        ({"dag_run": run(logical_date=START), "params": {"night": None}}, "2026-11-20"),
        ({"logical_date": START, "params": {}}, "2026-11-20"),
    ],
)
def test_one_resolver_turns_any_run_into_a_night(context: dict[str, Any], night: str) -> None:
    assert mrlm_tasks.night_of(context) == night


def test_a_run_without_a_night_says_what_to_do() -> None:
    with pytest.raises(AirflowFailException, match="parameter night"):
        mrlm_tasks.night_of({"dag_run": run(), "params": {}})


def test_parameters_become_options() -> None:
    params = {"weights": {"like": 1.0}, "learner": "q_learning", "force": True, "dry_run": True}
    assert mrlm_tasks.arguments_of(params, stage=True) == [
        *("--weights", '{"like": 1.0}', "--learner", "q_learning", "--force")
    ]
    assert mrlm_tasks.arguments_of(params, stage=False) == [
        *("--weights", '{"like": 1.0}', "--learner", "q_learning", "--dry-run")
    ]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (2, AirflowFailException),
        (10, AirflowFailException),
        (70, AirflowFailException),
        (75, RuntimeError),
        (1, RuntimeError),
    ],
)
def test_what_a_retry_cannot_change_fails_at_once_and_the_rest_is_retried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, error: type[Exception]
) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\necho working\necho '{{\"a\": 1}}'\necho late >&2\nexit {code}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(error):
        mrlm_tasks.run_mrlm(["stage", "ingest"])


def test_the_last_json_line_is_the_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho '{\"a\": 0}'\necho '{\"a\": 1}'\necho late >&2\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    assert mrlm_tasks.run_mrlm(["stage", "ingest"]) == {"a": 1}
