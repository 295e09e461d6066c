"""Faults of files, and commands run on a copy of the deployment that has them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import cli
from tests.deployment import NIGHTS, Deployment

NIGHT = NIGHTS[4]


def flipped(path: Path) -> None:
    """One bit of the byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x04
    path.write_bytes(data)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def missing(path: Path) -> None:
    path.unlink()


FAULTS: dict[str, Callable[[Path], None]] = {
    f.__name__: f for f in (flipped, truncated, emptied, missing)
}


def with_a_night(deployment: Deployment) -> Deployment:
    """The deployment after its first night that learns, whoever runs it first."""
    if not list(workspace(deployment).glob(f"runs/{NIGHT}-*/closing.json")):
        deployment.run("night", NIGHT)
    return deployment


def copy_of(deployment: Deployment, folder: Path) -> Deployment:
    """A deployment whose files may be damaged; its registry's artifacts are the original's."""

    def copy(source: str, target: str) -> None:
        # Fonts and pictures of the data docs, which nobody changes.
        (os.link if "/static/" in source else shutil.copy2)(source, target)

    left = shutil.ignore_patterns("airflow")
    shutil.copytree(deployment.folder, folder, symlinks=True, ignore=left, copy_function=copy)
    return Deployment(folder, deployment.world)


def mrlm(deployment: Deployment, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command, run by the command line of this process."""
    command = ["mrlm", *arguments, "--settings", str(deployment.settings_path)]
    handlers = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP)}
    said, before = io.StringIO(), sys.argv
    try:
        sys.argv = command
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            pytest.raises(SystemExit) as ending,
        ):
            cli.main()
    finally:
        sys.argv = before
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
    code = ending.value.code or 0
    assert isinstance(code, int), code
    return code, said.getvalue()


def workspace(deployment: Deployment) -> Path:
    return deployment.folder / "workspace"


def run_key(deployment: Deployment, night: str = NIGHT) -> str:
    (found,) = workspace(deployment).glob(f"runs/{night}-*")
    return found.name


def stage_folder(deployment: Deployment, stage: str, night: str = NIGHT) -> Path:
    """Where a stage's output lies, by the layout that docs/architecture.md gives."""
    lake = workspace(deployment) / "lake" / night / stage
    return lake if lake.exists() else workspace(deployment) / "runs" / run_key(deployment) / stage


def files_of(deployment: Deployment, stage: str, pattern: str, night: str = NIGHT) -> list[Path]:
    """Files of a stage's output that match, in the order of their names."""
    found = sorted(p for p in stage_folder(deployment, stage, night).glob(pattern) if p.is_file())
    assert found, f"stage {stage} of {night} wrote nothing like {pattern}"
    return found


def fingerprints(deployment: Deployment, stage: str, night: str = NIGHT) -> dict[str, str]:
    """Of the content of each output of a stage, as its manifest states it."""
    manifest = stage_folder(deployment, stage, night) / "manifest.json"
    outputs = json.loads(manifest.read_text())["outputs"]
    return {name: output["fingerprint"] for name, output in outputs.items()}


def ledger(deployment: Deployment) -> Path:
    return workspace(deployment) / "registry" / "ledger.jsonl"
