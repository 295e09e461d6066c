"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.context import NightContext
from pipelines.progress import terminal_progress
from pipelines.settings import Settings, load_settings
from pipelines.workspace import Workspace

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
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", night):
        raise ValueError(f"night {night!r} is not a date like 2026-11-20")
    return date.fromisoformat(night).isoformat()


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
        pydantic.ValidationError: there is no such learner.
    """
    data: dict[str, Any] = settings.model_dump(mode="json")
    if weights:
        names = [o.name for o in settings.objectives]
        try:
            given = json.loads(weights)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict) or not set(given) <= set(names):
            raise ValueError(f"--weights must be a JSON object over the objectives {names}")
        data["tuning"]["weights"] = given
    if learner:
        data["learning"]["learners"] = [learner]
    return Settings.model_validate(data) if weights or learner else settings
