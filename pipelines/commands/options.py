"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import json
import math
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from mrlm.report.visible import visible
from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace
from pipelines.running.progress import terminal_progress
from pipelines.settings.errors import Place
from pipelines.settings.load import checked, load_settings
from pipelines.settings.model import Settings

# Longest texts that a command takes: they go into the ledger, the registry and Airflow's pages.
_LONGEST_NAME, _LONGEST_REASON, _LONGEST_WEIGHTS = 200, 2000, 10_000
# Of a text that is refused, so much is shown.
_SHOWN = 200
_RUN_KEY = rf"[A-Za-z0-9][A-Za-z0-9._:/-]{{0,{_LONGEST_NAME - 1}}}"

SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", help="Settings file; default $MRLM_SETTINGS, then ./mrlm.toml."),
]
NightOption = Annotated[str, typer.Option("--night", help="The night, as YYYY-MM-DD.")]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help='Objective weights fixed by hand, as JSON: \'{"like": 1, "long_tail": 0.2}\'.'
    ),
]
LearnerOption = Annotated[str | None, typer.Option(help="Learn with this learner alone.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Run again although nothing changed.")]


def check_night(night: str) -> str:
    """The night if it is an ISO date.

    Raises:
        ValueError: it is not.
    """
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", night, re.ASCII):
            return date.fromisoformat(night).isoformat()
    except ValueError:
        pass
    raise ValueError(f"night {visible(repr(night), _SHOWN)} is not a date like 2026-11-20")


def check_run_key(key: str) -> str:
    """The run key, or version number, if it has the form of one.

    Raises:
        ValueError: it has not.
    """
    if not re.fullmatch(_RUN_KEY, key):
        raise ValueError(
            f"run key {visible(repr(key), _SHOWN)}: use letters, digits and . _ : / -, at most "
            f"{_LONGEST_NAME}, and begin with a letter or digit; 'mrlm status' lists them"
        )
    return key


def check_actor(actor: str) -> str:
    """The actor if it is one line, not too long.

    Raises:
        ValueError: it is not.
    """
    return _one_line("--actor", actor, _LONGEST_NAME)


def check_reason(reason: str) -> str:
    """The reason if it is one line, not too long.

    Raises:
        ValueError: it is not.
    """
    return _one_line("--reason", reason, _LONGEST_REASON)


def check_wait(seconds: float) -> float:
    """The seconds if they are a number of at least 0.

    Raises:
        ValueError: they are not.
    """
    if not 0 <= seconds < math.inf:
        raise ValueError(f"--wait must be a number of seconds of at least 0, not {seconds}")
    return seconds


def _one_line(option: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise ValueError(f"{option} has {len(text)} characters; at most {longest} are kept")
    if visible(text) != text:
        raise ValueError(
            f"{option} {visible(repr(text), _SHOWN)} has control or format characters; write one "
            "line of plain text"
        )
    return text


ActorOption = Annotated[
    str, typer.Option(help="Who decides; goes into the ledger.", callback=check_actor)
]
ReasonOption = Annotated[
    str, typer.Option(help="Why; goes into the ledger.", callback=check_reason)
]


def context_for(
    night: str,
    settings: Path | None,
    weights: str | None = None,
    learner: str | None = None,
    force: bool = False,
) -> NightContext:
    """The context of a night with a run's parameters in its settings."""
    loaded = with_parameters(load_settings(settings), weights, learner)
    return NightContext(
        night=check_night(night),
        settings=loaded,
        workspace=Workspace(loaded.workspace),
        force=force,
        progress=terminal_progress(),
    )


def with_parameters(settings: Settings, weights: str | None, learner: str | None) -> Settings:
    """The settings with weights or learner of one run.

    Raises:
        ValueError: the weights are no JSON object, or name no objective.
        SettingsError: a weight is no number of at least 0, or there is no such learner.
    """
    data: dict[str, Any] = settings.model_dump(mode="json")
    if weights:
        data["tuning"]["weights"] = _weights(weights, [o.name for o in settings.objectives])
    if learner:
        # That one alone, as it is typed.
        data["learning"] |= {"learners": [learner], "variants": {}}
    if not weights and not learner:
        return settings
    given: dict[Place, str] = {
        (): "the settings with this run's parameters",
        ("tuning", "weights"): "--weights",
        ("learning", "learners"): "--learner",
    }
    return checked(lambda: Settings.model_validate(data), given)


def _weights(text: str, objectives: list[str]) -> dict[str, Any]:
    """The weights as they were given; the settings say which numbers may be."""
    try:
        given = json.loads(text) if len(text) <= _LONGEST_WEIGHTS else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not set(given) <= set(objectives):
        raise ValueError(
            f"--weights must be a JSON object over the objectives {objectives}, of at most "
            f"{_LONGEST_WEIGHTS} characters; it is {visible(text, _SHOWN)}"
        )
    return given
