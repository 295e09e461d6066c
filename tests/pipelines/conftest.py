"""The deployment whose nights the tests share."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.deployment import (
    NIGHTS,
    SETTINGS,
    Deployment,
    end_warm_parent,
    rename_columns,
)
from tests.latent_files import write_latent


def pytest_sessionfinish() -> None:
    end_warm_parent()


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Four nights of history and a first champion, through the command line."""
    folder = tmp_path_factory.mktemp("original")
    raw = folder / "raw"
    world = write_latent(raw, users=120, nights=len(NIGHTS), slots_per_user_night=6)
    rename_columns(raw)
    (folder / "mrlm.toml").write_text(SETTINGS)
    made = Deployment(folder, world)
    made.run("history", NIGHTS[0], NIGHTS[3])
    made.run("bootstrap", "--night", NIGHTS[3])
    return made


@pytest.fixture(scope="session")
def copied(
    original: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Deployment, dict[str, tuple[int, int, int]]]:
    """A copy of it in another place, and how the original's files were left then."""
    folder = tmp_path_factory.mktemp("copy") / "deployment"
    shutil.copytree(original.folder, folder, symlinks=True)
    for path in original.folder.rglob("*"):
        if path.is_file():
            # A file that was read since it was written is not always marked as read again.
            os.utime(path, ns=(1, path.stat().st_mtime_ns))
    return Deployment(folder, original.world), original.times()


@pytest.fixture(scope="session")
def deployment(copied: tuple[Deployment, dict[str, tuple[int, int, int]]]) -> Deployment:
    """The copy: whatever tests do with it, the original must not feel."""
    return copied[0]
