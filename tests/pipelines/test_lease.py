from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import BusyError
from pipelines.running.lease import (
    STALE_SECONDS,
    Holder,
    holder_of_command,
    holder_of_run,
    night_lease,
    release,
)

NIGHT = "2026-11-20"


def test_a_second_run_is_told_who_holds_the_night(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with (
        night_lease(workspace, NIGHT, holder_of_run("scheduled"), 0, keep=False),
        pytest.raises(BusyError, match="held by scheduled"),
        night_lease(workspace, NIGHT, holder_of_run("manual"), 0, keep=False),
    ):
        pass
    with night_lease(workspace, NIGHT, holder_of_run("manual"), 0, keep=False):
        pass


def test_the_stages_of_one_run_share_the_night_until_it_closes(tmp_path: Path) -> None:
    workspace, run = Workspace(tmp_path), holder_of_run("scheduled")
    for _ in range(2):
        with night_lease(workspace, NIGHT, run, 0, keep=True):
            pass
    with (
        pytest.raises(BusyError),
        night_lease(workspace, NIGHT, holder_of_run("manual"), 0, keep=False),
    ):
        pass
    release(workspace, NIGHT, holder_of_run("manual"))
    assert (workspace.locks / f"night-{NIGHT}.json").exists()
    release(workspace, NIGHT, run)
    with night_lease(workspace, NIGHT, holder_of_run("manual"), 0, keep=False):
        pass


def test_a_run_may_move_to_another_host(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with night_lease(workspace, NIGHT, Holder("scheduled", "elsewhere", 0), 0, keep=True):
        pass
    with night_lease(workspace, NIGHT, holder_of_run("scheduled"), 0, keep=True):
        pass
    release(workspace, NIGHT, Holder("scheduled", "elsewhere", 0))
    assert not (workspace.locks / f"night-{NIGHT}.json").exists()


def test_whoever_waits_in_the_same_process_holds_nothing_up(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first, second = holder_of_run("one"), holder_of_run("another")
    waits, got = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        with night_lease(workspace, NIGHT, second, wait_seconds=30.0, keep=False):
            got.set()

    waiting = threading.Thread(target=wait)
    with night_lease(workspace, NIGHT, first, wait_seconds=0.0, keep=False):
        waiting.start()
        assert waits.wait(10)
        time.sleep(0.2)
        assert not got.is_set()
    waiting.join(20)
    assert got.is_set()


def test_other_nights_are_free(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with (
        night_lease(workspace, NIGHT, holder_of_run("a"), 0, keep=False),
        night_lease(workspace, "2026-11-21", holder_of_run("b"), 0, keep=False),
    ):
        pass


def test_a_dead_command_holds_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = Holder("command", holder_of_command().host, gone.pid)
    workspace.locks.mkdir()
    path = workspace.locks / f"night-{NIGHT}.json"
    path.write_text(json.dumps(dead.__dict__))
    with night_lease(workspace, NIGHT, holder_of_run("next"), 0, keep=False):
        pass


def test_a_lease_that_nobody_renews_ends(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with night_lease(workspace, NIGHT, holder_of_run("lost"), 0, keep=True):
        pass
    path = workspace.locks / f"night-{NIGHT}.json"
    old = time.time() - STALE_SECONDS - 1
    os.utime(path, (old, old))
    with night_lease(workspace, NIGHT, holder_of_run("next"), 0, keep=False):
        pass
