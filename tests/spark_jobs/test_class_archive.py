"""The archive of Java's classes: written by the first session, read by the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spark_jobs.class_archive import archive_of, java_options
from spark_jobs.java import java_home, system_java_home

ROOT = Path(__file__).resolve().parents[2]
SESSION = """
import sys
sys.prefix = sys.argv[1]
from spark_jobs.session import spark_session
spark = spark_session(driver_memory="512m")
factory = spark._jvm.java.lang.management.ManagementFactory
options = factory.getRuntimeMXBean().getInputArguments()
print(spark.range(3).count(), *[o for o in options if "Archive" in o])
"""


def session(prefix: Path) -> str:
    command = [sys.executable, "-c", SESSION, str(prefix)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.spark
@pytest.mark.skipif(system_java_home() is None, reason="the packaged Java has no archive to add to")
def test_the_second_session_reads_what_the_first_one_wrote(tmp_path: Path) -> None:
    place = archive_of(java_home())
    left = tmp_path / "var" / "mrlm" / f"{place.stem}.999999999"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a process that was killed")
    first = session(tmp_path)
    (archive,) = (tmp_path / "var" / "mrlm").iterdir()
    assert archive.suffix == ".jsa"
    assert first.startswith("3 -XX:ArchiveClassesAtExit=")
    assert session(tmp_path) == f"3 -XX:SharedArchiveFile={archive}"
    archive.chmod(0o600)
    archive.write_bytes(b"half an archive")
    # Java goes on without an archive that it cannot read.
    assert session(tmp_path).startswith("3 ")


def test_an_environment_that_cannot_be_written_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "var").write_text("no folder")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert archive_of(tmp_path) is None
    assert java_options(None) == ""
