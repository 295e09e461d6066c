"""Airflow's and MLflow's pages on this machine."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape

from mrlm.promotion.registry.place import RegistryPlace
from pipelines.contract.deployment import place_of
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.local import mlflow_page
from pipelines.local.airflow import ROOT, LocalAirflow, free_port
from pipelines.settings.load import load_settings


def serve_pages(workspace: Path) -> None:
    """Serve until Ctrl-C, then end every process that was started.

    Raises:
        DataError: the workspace has no settings, or a service ended by itself.
    """
    settings_path = workspace.resolve() / "mrlm.toml"
    if not settings_path.is_file():
        raise DataError(f"{workspace} holds no mrlm.toml: run the demonstration first ('make run')")
    settings = load_settings(settings_path)
    place = place_of(settings, Workspace(settings.workspace))
    console = Console(stderr=True)
    airflow = LocalAirflow(Workspace(settings.workspace), settings_path)
    try:
        airflow.start()
        _print_login(airflow, console)
        console.print(f"Airflow  {airflow.url}")
        page = _remote_page(place)
        if page is None:
            with console.status("MLflow starts, which takes up to a minute"):
                page = _start_mlflow(airflow, place)
        console.print(f"MLflow   {page}/#/models/{settings.registry.model}", markup=False)
        console.print("Ctrl-C stops what was started")
        while airflow.processes.alive():
            time.sleep(1.0)
        raise DataError(f"a service ended by itself; see {settings.workspace / 'airflow'}/*.log")
    finally:
        airflow.stop()


def _print_login(airflow: LocalAirflow, console: Console) -> None:
    """Show the password to whoever watches; what is not a terminal may be a log."""
    if console.is_terminal:
        secret = airflow.login.password
    else:
        secret = f"see {airflow.login_file.resolve()}"
    console.print(f"log in   user {airflow.login.user}, password {escape(secret)}", soft_wrap=True)


def _remote_page(place: RegistryPlace) -> str | None:
    """The page of a tracking server that the settings name, without what it may hold of a login."""
    address = urlsplit(place.uri)
    if address.scheme not in {"http", "https"}:
        return None
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _start_mlflow(airflow: LocalAirflow, place: RegistryPlace) -> str:
    """Serve the registry's page and wait until it listens, or a service ends; its address."""
    place.follow_move()
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        mlflow_page.STORE_VARIABLE: place.uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    if place.artifact_location:
        environment[mlflow_page.ARTIFACTS_VARIABLE] = place.artifact_location
    # With -P, no file of the working folder passes for a module.
    command = [sys.executable, "-P", "-m", "pipelines.local.mlflow_page"]
    command += [str(port), str(airflow.login_file.resolve())]
    airflow.processes.start(command, environment, airflow.workspace.airflow / "mlflow.log")
    while airflow.processes.alive() and not airflow.processes.listen_on(port):
        time.sleep(0.5)
    return f"http://127.0.0.1:{port}"
