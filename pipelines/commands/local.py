"""Commands for one machine: the demonstration and the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("demo")(demo)
    app.command("ui")(ui)


def demo(
    logs: Annotated[Literal["movielens", "obd"], typer.Option(help="Which log.")] = "movielens",
    workspace: Annotated[Path, typer.Option(help="Folder of everything.")] = Path("workspace"),
) -> None:
    """Write a demonstration log, run its nights through Airflow, print the table of nights."""
    from pipelines.local.demonstration import run_demonstration

    run_demonstration(logs, workspace)


def ui(
    workspace: Annotated[Path, typer.Option(help="Folder of everything.")] = Path("workspace"),
) -> None:
    """Open Airflow and MLflow on 127.0.0.1 until Ctrl-C."""
    from pipelines.local.pages import serve_pages

    serve_pages(workspace)
