"""Java reads its classes from an archive where there is one, and starts without it elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spark_jobs.runtime import class_archive
from spark_jobs.runtime.java import java_home

_START = """
import sys
from pathlib import Path
from spark_jobs.runtime import class_archive
from spark_jobs.runtime.session import spark_session

class_archive.place = lambda home: Path(sys.argv[1])
told = f"{class_archive.reading(Path())} -Xlog:class+load:file={sys.argv[2]}"
assert spark_session(java_options=told).range(10).count() == 10
"""


def from_archive(archive: Path, told: Path) -> int:
    """How many classes a session has from an archive of ours."""
    command = [sys.executable, "-c", _START, str(archive), str(told)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    assert (done.returncode, done.stderr) == (0, "")
    return told.read_text().count("source: shared objects file (top)")


def test_there_are_no_options_without_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    home = Path("/anywhere/java-17")
    assert class_archive.reading(home) == ""
    archive = class_archive.place(home)
    assert archive.is_relative_to(tmp_path)
    archive.parent.mkdir(parents=True)
    archive.touch()
    assert f"-XX:SharedArchiveFile={archive} " in class_archive.reading(home)
    assert class_archive.place(Path("/anywhere/java-21")) != archive


@pytest.mark.spark
def test_a_session_has_its_classes_from_the_archive_of_set_up(tmp_path: Path) -> None:
    archive = class_archive.place(java_home())
    if not archive.is_file():
        pytest.skip("this environment was not made by 'make setup'")
    assert from_archive(archive, tmp_path / "told") > 5_000


@pytest.mark.spark
def test_a_session_goes_on_without_an_archive_that_is_damaged(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jsa"
    damaged.write_bytes(b"no archive" * 1_000)
    assert from_archive(damaged, tmp_path / "told") == 0
