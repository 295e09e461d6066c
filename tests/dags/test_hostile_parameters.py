"""Parameters of DAG runs that would be options, commands or numbers that are none."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError
from airflow.sdk.execution_time.context import set_current_context

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))

EVIL = ("--settings=x", "--help", "-h", "../../x", "<script>", "\x1b[31m", "\u202etxt", "x" * 2**20)


def dag(name: str) -> Any:
    return getattr(importlib.import_module(name), name)()


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("promotion_review", "run_key"),
        ("nightly_retrain", "night"),
        ("nightly_retrain", "learner"),
        ("read_ahead", "first"),
        ("read_ahead", "last"),
        ("replay_nights", "first"),
        ("replay_nights", "last"),
        ("publish_recommendations", "night"),
    ],
)
def test_names_and_nights_have_a_form(name: str, parameter: str) -> None:
    for text in EVIL:
        with pytest.raises(ParamValidationError):
            dag(name).params.get_param(parameter).resolve(text)


@pytest.mark.parametrize(
    "weights",
    [
        {"like": -1},
        {"like": math.inf},
        {"like": "1"},
        {"like": True},
        {"--settings": 1},
        {"x" * 100: 1},
        {f"w{n}": 1 for n in range(1000)},
    ],
    ids=range(7),
)
def test_weights_of_the_form_are_few_numbers_of_objectives(weights: dict[str, Any]) -> None:
    found = dag("nightly_retrain").params.get_param("weights")
    with pytest.raises(ParamValidationError):
        found.resolve(weights)
    assert found.resolve({"like": 1, "long_tail": 0.2}) == {"like": 1, "long_tail": 0.2}


@pytest.mark.parametrize("parameter", ["actor", "reason"])
def test_the_ledger_gets_one_short_line(parameter: str) -> None:
    found = dag("rollback_champion").params.get_param(parameter)
    for text in ("\x1b[31m", "\u202etxt", "two\nlines", "x" * 2**20):
        with pytest.raises(ParamValidationError):
            found.resolve(text)
    assert found.resolve("Zoë <z@example.com>: --why not?") == "Zoë <z@example.com>: --why not?"


@pytest.mark.parametrize("key", ["--help", "--settings=/nowhere"])
def test_a_run_key_never_reaches_the_parser_of_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str
) -> None:
    """Also where no form has looked at it: in the event of the night that asks for a review."""
    monkeypatch.setenv("MRLM_SETTINGS", str(tmp_path / "none.toml"))
    event = type("Event", (), {"extra": {"run_key": key}})()
    context: Any = {"params": {}, "triggering_asset_events": {"review": [event]}}
    evidence = dag("promotion_review").get_task("evidence").python_callable
    with set_current_context(context), pytest.raises(AirflowFailException, match="wrong data"):
        evidence()
