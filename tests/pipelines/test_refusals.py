"""What the machine, a library or the program refuses: one sentence, the file, the right code."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from tests.deployment import ROOT, SETTINGS, Deployment
from tests.pipelines.faulty import (
    NIGHT,
    copy_of,
    fingerprints,
    flipped,
    ledger,
    mrlm,
    run_key,
    truncated,
    with_a_night,
    workspace,
)

pytestmark = [pytest.mark.night, pytest.mark.spark]

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture(scope="module")
def night(deployment: Deployment) -> Deployment:
    return with_a_night(deployment)


@pytest.fixture
def own(night: Deployment, tmp_path: Path) -> Deployment:
    return copy_of(night, tmp_path / "deployment")


def run(
    deployment: Deployment,
    *arguments: str,
    before: Callable[[], None] | None = None,
    stdout: int = subprocess.PIPE,
) -> tuple[int, str]:
    """Exit code and output of a command in a process of its own, after ``before`` was called."""
    done = subprocess.run(
        deployment.command(*arguments),
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )
    return done.returncode, (done.stdout or "") + done.stderr


def as_an_ordinary_user() -> None:
    """The permissions of files hold for this process too, where it is root's."""
    if os.geteuid() == 0:
        drop = ctypes.CDLL(None, use_errno=True).prctl
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if drop(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "cannot drop a capability")


@contextmanager
def full(folder: Path, spare: int) -> Iterator[Callable[[], None] | None]:
    """A full disk under ``folder``, but for ``spare`` bytes: what a command has to call first.

    A small file system where this user may mount one; else no file may grow past ``spare`` bytes,
    which the system refuses a process in the same way.
    """
    used = sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file())
    moved = folder.with_name(f"{folder.name}.moved")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={used * 2 + (8 << 20)}", "full", str(folder)]
    mounted = shutil.which("mount") and not subprocess.run(mount, capture_output=True).returncode
    if not mounted:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (spare, spare))
        return
    subprocess.run(["umount", str(folder)], check=True)
    folder.rename(moved)
    folder.mkdir()
    subprocess.run(mount, check=True)
    filler = folder / "filler"
    try:
        shutil.copytree(moved, folder, symlinks=True, dirs_exist_ok=True)
        free = shutil.disk_usage(folder).free
        filler.write_bytes(b"\0" * (free - spare - (free - spare) % 4096))
        yield None
        filler.unlink()
        shutil.rmtree(moved)
        shutil.copytree(folder, moved, symlinks=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()
        moved.rename(folder)


def test_a_full_disk_is_retried_and_once_there_is_space_the_night_is_the_same(
    own: Deployment,
) -> None:
    wanted = fingerprints(own, "learn_behaviour")
    again = ("stage", "learn_behaviour", "--night", NIGHT, "--force")
    with full(workspace(own), 24 << 10) as before:
        code, said = run(own, *again, before=before)
    assert code == 75, said
    assert "learn_behaviour" in said
    assert "mrlm clean" in said
    assert "Traceback" not in said
    assert fingerprints(own, "learn_behaviour") == wanted
    code, said = mrlm(own, *again)
    assert code == 0, said
    assert fingerprints(own, "learn_behaviour") == wanted


def test_output_that_nobody_can_write_is_no_traceback(own: Deployment) -> None:
    with Path("/dev/full").open("wb") as nowhere:
        code, said = run(own, "weights", stdout=nowhere.fileno())
    assert (code, "Traceback" in said) == (75, False), said
    assert "No space left" in said


@pytest.mark.parametrize(
    ("mode", "place", "arguments"),
    [
        (0o555, "runs/{run}", ("stage", "learn_policy", "--night", NIGHT, "--force")),
        (0o000, "lake/{night}/embed/catalog.parquet", ("stage", "learn_behaviour", "--force")),
        pytest.param(0o555, "", ("summary",), marks=pytest.mark.long),
    ],
)
def test_a_folder_that_may_not_be_written_is_named(
    own: Deployment, mode: int, place: str, arguments: tuple[str, ...]
) -> None:
    path = workspace(own) / place.format(run=run_key(own), night=NIGHT)
    if arguments[0] == "stage" and "--night" not in arguments:
        arguments = (*arguments, "--night", NIGHT)
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        code, said = run(own, *arguments, before=as_an_ordinary_user)
    finally:
        path.chmod(before)
    assert code == 10, said
    assert str(path) in said
    assert "Permission denied" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("fault", [truncated, flipped, None])
def test_a_broken_database_of_the_registry_is_named(own: Deployment, fault: object) -> None:
    path = workspace(own) / "registry" / "mlflow.db"
    if fault is None:
        path.write_bytes(b"no database" * 1000)
    else:
        path.write_bytes(b"\0" * 50 + path.read_bytes()[50:])
        assert callable(fault)
        fault(path)
    before = ledger(own).read_bytes()
    for arguments in (("review", run_key(own)), ("stage", "gate", "--night", NIGHT, "--force")):
        code, said = mrlm(own, *arguments)
        assert code == 10, said
        assert str(path) in said
        assert "Traceback" not in said
    assert ledger(own).read_bytes() == before


def fresh(folder: Path, settings: str = SETTINGS) -> Deployment:
    (folder / "mrlm.toml").write_text(settings)
    return Deployment(folder, {})


def test_a_truncated_parquet_file_of_the_raw_log_is_named(tmp_path: Path) -> None:
    parquet = SETTINGS.replace(
        'path = "raw/impressions/dt={night}"',
        'path = "raw/impressions/dt={night}"\nformat = "parquet"',
    )
    made = fresh(tmp_path, parquet)
    folder = tmp_path / "raw" / "impressions" / f"dt={NIGHT}"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"rid": ["a"] * 1000}), folder / "part-0.parquet")
    truncated(folder / "part-0.parquet")
    code, said = mrlm(made, "stage", "ingest", "--night", NIGHT)
    assert code == 10, said
    assert str(folder / "part-0.parquet") in said
    assert f"night {NIGHT}, table impressions" in said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("x = " + "[" * 100_000, "mrlm.toml"),
        ("workspace = ", "mrlm.toml"),
        ('workspace = "\xff"', "mrlm.toml"),
    ],
)
def test_settings_that_are_no_toml_are_named(tmp_path: Path, settings: str, says: str) -> None:
    made = fresh(tmp_path)
    (tmp_path / "mrlm.toml").write_bytes(settings.encode("latin-1"))
    code, said = mrlm(made, "status")
    assert (code, says in said, "Traceback" in said) == (10, True, False), said


@pytest.mark.parametrize("weights", ["[" * 100_000, "{", "1", '{"like": ' * 50_000])
def test_weights_that_are_no_json_object_are_named(tmp_path: Path, weights: str) -> None:
    code, said = mrlm(fresh(tmp_path), "night", NIGHT, "--weights", weights)
    assert (code, "--weights must be a JSON object" in said) == (10, True), said


def test_what_nobody_foresaw_is_kept_in_a_file_and_not_retried(tmp_path: Path) -> None:
    from pipelines import cli

    made = fresh(tmp_path)

    def fails(settings: Annotated[Path, typer.Option()]) -> None:
        assert made.settings_path == settings
        made.context(NIGHT)
        raise KeyError("a defect")

    known = list(cli.app.registered_commands)
    cli.app.command("fails")(fails)
    try:
        code, said = mrlm(made, "fails")
        assert code == 70, said
        assert "KeyError: 'a defect'" in said
        assert "Traceback (most" not in said
        (kept,) = (tmp_path / "workspace" / "errors").iterdir()
        assert str(kept) in said
        assert "Traceback (most recent call last)" in kept.read_text()
        assert kept.stat().st_mode & 0o077 == 0
        shutil.rmtree(tmp_path / "workspace")
        # Where the workspace cannot be written, the machine's temporary folder takes it.
        (tmp_path / "workspace").write_text("a file")
        code, said = mrlm(made, "fails")
        assert code == 70, said
        assert "mrlm-error-" in said
        Path(said.split("is in ")[1].split(";")[0]).unlink()
    finally:
        cli.app.registered_commands[:] = known


@pytest.mark.long
@pytest.mark.parametrize("stage", ["ingest", "validate", "build_log"])
def test_a_disk_that_spark_fills(own: Deployment, stage: str) -> None:
    wanted = fingerprints(own, stage)
    again = ("stage", stage, "--night", NIGHT, "--force")
    with full(workspace(own), 24 << 10) as before:
        code, said = run(own, *again, before=before)
    assert code == 75, said
    assert f"stage {stage}" in said.splitlines()[-1]
    # Great Expectations logs tracebacks of the pages that it cannot write.
    assert stage == "validate" or "Traceback" not in said
    code, said = mrlm(own, *again)
    assert code == 0, said
    assert fingerprints(own, stage) == wanted


@pytest.mark.long
@pytest.mark.parametrize(
    "stage",
    ["embed", "learn_policy", "tune_weights", "evaluate", "register", "gate", "publish"],
)
@pytest.mark.parametrize("spare", [0, 8 << 10, 256 << 10])
def test_a_disk_that_is_full_at_any_stage(own: Deployment, stage: str, spare: int) -> None:
    wanted = fingerprints(own, stage)
    again = ("stage", stage, "--night", NIGHT, "--force")
    with full(workspace(own), spare) as before:
        code, said = run(own, *again, before=before)
    assert code in {0, 75}, said
    assert "Traceback" not in said
    code, said = mrlm(own, *again)
    assert code == 0, said
    assert fingerprints(own, stage) == wanted
    assert mrlm(own, "verify")[0] == 0


@pytest.mark.long
def test_a_registry_that_may_not_be_written_is_named(own: Deployment) -> None:
    folder = workspace(own) / "registry"
    for path in (folder, *folder.glob("mlflow.db*")):
        path.chmod(path.stat().st_mode & ~0o222)
    arguments = ("stage", "register", "--night", NIGHT, "--force")
    code, said = run(own, *arguments, before=as_an_ordinary_user)
    assert code == 10, said
    assert str(folder) in said
    assert "Traceback" not in said


def test_a_changed_ledger_is_named_and_nothing_is_judged_or_removed(own: Deployment) -> None:
    path = ledger(own)
    flipped(path)
    for arguments in (
        ("status",),
        ("stage", "evaluate", "--night", NIGHT),
        ("clean", "--keep", "1"),
    ):
        code, said = mrlm(own, *arguments)
        assert code == (0 if arguments == ("status",) else 10), said
        assert "Traceback" not in said
        if code:
            assert str(path) in said
