"""Airflow's and MLflow's pages on this machine."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

from rich.console import Console

from pipelines.errors import DataError
from pipelines.local_airflow import LocalAirflow, free_port
from pipelines.registry import place_of
from pipelines.settings import load_settings
from pipelines.workspace import Workspace


def serve_pages(workspace: Path) -> None:
    """Serve until Ctrl-C, then end every process that was started.

    Raises:
        DataError: the workspace has no settings.
    """
    settings_path = workspace.resolve() / "mrlm.toml"
    if not settings_path.is_file():
        raise DataError(f"{workspace} holds no mrlm.toml: run the demonstration first ('make run')")
    settings = load_settings(settings_path)
    place = place_of(settings, Workspace(settings.workspace))
    console = Console(stderr=True)
    airflow = LocalAirflow(Workspace(settings.workspace), settings_path)
    port = free_port()
    try:
        airflow.start()
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--workers", "1", "--backend-store-uri", place.uri]
        if place.artifact_location:
            command += ["--default-artifact-root", place.artifact_location]
        environment = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        airflow.processes.start(
            command, environment, Workspace(settings.workspace).airflow / "mlflow.log"
        )
        console.print(f"Airflow  {airflow.url}")
        page = f"http://127.0.0.1:{port}"
        with console.status("MLflow starts, which takes up to a minute"):
            _wait_for(f"{page}/health", airflow)
        console.print(f"MLflow   {page}/#/models/{settings.registry.model}")
        console.print("Ctrl-C stops both")
        while airflow.processes.alive():
            time.sleep(1.0)
        raise DataError(f"a service ended by itself; see {settings.workspace / 'airflow'}/*.log")
    finally:
        airflow.stop()


def _wait_for(url: str, airflow: LocalAirflow) -> None:
    """Wait until the address answers, or a service ends: the caller looks at that."""
    while airflow.processes.alive():
        with suppress(URLError, OSError), urllib.request.urlopen(url, timeout=10):  # noqa: S310
            return
        time.sleep(0.5)
