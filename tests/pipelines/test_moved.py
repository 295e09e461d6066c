"""A workspace that was moved or copied goes on in its new place."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from pipelines.local.airflow import LocalAirflow
from pipelines.local.page_login import PageLogin
from pipelines.local.processes import Processes
from tests.deployment import NIGHTS, ROOT, Deployment


def test_a_copy_leaves_the_original_alone(
    original: Deployment, copied: tuple[Deployment, dict[str, tuple[int, int, int]]]
) -> None:
    """Neither read nor written, by these commands and by all that other tests did before."""
    deployment, left = copied
    assert "chain is whole" in deployment.run("verify")
    deployment.run("status")
    assert "unchanged: skipped" in deployment.run("history", NIGHTS[0], NIGHTS[3])
    assert original.times() == left


def test_what_names_a_place_names_it_from_the_workspace(deployment: Deployment) -> None:
    workspace = deployment.folder / "workspace"
    for path in (workspace / "published").glob("*.json"):
        lists = json.loads(path.read_text())["path"]
        assert not Path(lists).is_absolute()
        assert (workspace / lists).is_file()
    for link in workspace.rglob("*"):
        if link.is_symlink():
            assert not link.readlink().is_absolute(), link
            assert link.resolve().is_relative_to(workspace.resolve()), link


@contextmanager
def served(deployment: Deployment, log: Path) -> Iterator[LocalAirflow]:
    """`mrlm ui` whose output goes to a file, and the API for who may read the file of the login."""
    command = [sys.executable, "-m", "pipelines.cli", "ui", "--workspace", str(deployment.folder)]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream)
    workspace = deployment.context(NIGHTS[4]).workspace
    try:
        deadline = time.monotonic() + 300
        while "Ctrl-C" not in (printed := log.read_text()):
            assert process.poll() is None, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.5)
        port = re.search(r"Airflow +http://127\.0\.0\.1:(\d+)", printed)
        assert port is not None, printed
        login = PageLogin.read(workspace.airflow / "login.json")
        assert login.password not in printed
        assert "login.json" in printed
        yield LocalAirflow(workspace, deployment.settings_path, int(port[1]), login)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)


@pytest.mark.long
@pytest.mark.night
@pytest.mark.spark
def test_a_moved_workspace_goes_on_with_its_nights_pages_and_logs(
    original: Deployment, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "a new" / "second"
    shutil.copytree(original.folder, first, symlinks=True)
    log = "dags/nightly_retrain/dagRuns/{}/taskInstances/ingest/logs/1"
    with served(Deployment(first, original.world), tmp_path / "first.log") as airflow:
        wrong = airflow.trigger("nightly_retrain", {"night": "2020-01-01"})
        assert airflow.wait("nightly_retrain", wrong) == "failed"
        before = json.dumps(airflow.request("GET", log.format(wrong))["content"])
        assert "2020-01-01" in before
    second.parent.mkdir()
    first.rename(second)
    moved = Deployment(second, original.world)
    assert "chain is whole" in moved.run("verify")
    moved.run("status")
    moved.run("night", NIGHTS[4])
    with served(moved, tmp_path / "second.log") as airflow:
        after = json.dumps(airflow.request("GET", log.format(wrong))["content"])
        assert "2020-01-01" in after
        run = airflow.trigger("nightly_retrain", {"night": NIGHTS[5]})
        assert airflow.wait("nightly_retrain", run) == "success"
        assert str(second) not in (airflow.workspace.airflow / "airflow.cfg").read_text()
    assert "chain is whole" in moved.run("verify")
    for path in (second / "workspace" / "published").glob("*.json"):
        assert (second / "workspace" / json.loads(path.read_text())["path"]).is_file()
    assert not first.exists()


def _runs(process: psutil.Process, command: list[str]) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.cmdline() == command
    return False


def test_services_of_the_original_are_not_the_copys(tmp_path: Path) -> None:
    first, copy, moved = (tmp_path / n for n in ("first", "copy", "moved"))
    first.mkdir()
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    Processes(first / "processes.json").start(sleep, dict(os.environ), first / "sleep.log")
    (service,) = (c for c in psutil.Process().children() if _runs(c, sleep))
    try:
        subprocess.run(["cp", "-a", str(first), str(copy)], check=True)
        Processes(copy / "processes.json").stop()
        assert service.is_running()
        first.rename(moved)
        Processes(moved / "processes.json").stop()
        assert not service.is_running()
    finally:
        if service.is_running():
            service.send_signal(signal.SIGKILL)
