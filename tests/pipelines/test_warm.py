"""The warm parent: a fork does what a process does, and whatever is amiss, a process does it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from airflow.sdk.exceptions import AirflowFailException

from pipelines.contract.workspace import Workspace
from pipelines.local.processes import Processes
from pipelines.local.warm_client import SOCKET_VARIABLE, Running, start
from pipelines.running.lease import holder_of_run, night_lease
from tests.deployment import ROOT, SETTINGS

NIGHT = "2026-11-20"
CLI = "pipelines.cli"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")

BASE = {
    **{k: v for k, v in os.environ.items() if k != SOCKET_VARIABLE},
    "PYTHONPATH": str(ROOT),
    "MRLM_USER_KEY": "a key for the tests",
}
# A server without the imports: enough for whom it refuses.
COLD = "import sys; from pathlib import Path; from pipelines.local.warm_server import serve; "


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def served(folder: Path, *command: str, module: str = CLI) -> Iterator[tuple[Path, psutil.Process]]:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "s"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", *command, str(path), module],
            env=BASE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        # Its imports take 20 s of processor time.
        until(lambda: path.exists() or process.poll() is not None, 600)
        assert process.poll() is None, (folder / "log").read_text()
        yield path, psutil.Process(process.pid)
    finally:
        process.terminate()
        assert process.wait(60) == 0
    assert not path.exists()
    # Nothing of its session is left.
    until(lambda: not [p for p in psutil.pids() if session_of(p) == process.pid])


def session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, psutil.Process]]:
    # pytest's own folders may be too deep for a socket.
    with served(tmp_path_factory.mktemp("w"), "-m", "pipelines.local.warm") as found:
        yield found


def running(path: Path | None, folder: Path, *arguments: str, **variables: str) -> Running:
    environment = {**BASE, **variables}
    if path is not None:
        environment[SOCKET_VARIABLE] = str(path)
    return start([sys.executable, "-m", CLI, *arguments], folder, environment)


def ended(command: Running) -> tuple[str, int]:
    """What a command printed, without the times of its lines, and its exit code."""
    try:
        printed = "".join(command.lines())
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", printed), command.wait()
    finally:
        command.end()


@contextmanager
def held(folder: Path) -> Iterator[list[str]]:
    """A night that somebody holds, and a command that waits for it."""
    (folder / "mrlm.toml").write_text(SETTINGS)
    with night_lease(Workspace(folder / "workspace"), NIGHT, holder_of_run("test"), 0, keep=False):
        yield ["stage", "gate", "--night", NIGHT, "--settings", "mrlm.toml"]


@contextmanager
def waiting(path: Path | None, folder: Path) -> Iterator[tuple[Running, psutil.Process]]:
    """A command that waits, and its worker."""
    with held(folder) as arguments:
        command = running(path, folder, *arguments)
        try:
            # Its lines come while it runs.
            assert "held by test: waiting" in next(command.lines())
            yield command, worker_in(folder)
        finally:
            command.end()


def worker_in(folder: Path) -> psutil.Process:
    (worker,) = [p for p in psutil.process_iter() if in_folder(p, folder)]
    return worker


def in_folder(process: psutil.Process, folder: Path) -> bool:
    try:
        return bool(process.cwd() == str(folder))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["nothing"], 2),
        (["stage", "ingest", "--night", "tomorrow", "--settings", "mrlm.toml"], 10),
        (["stage", "gate", "--night", NIGHT, "--settings", "mrlm.toml"], 10),
    ],
)
def test_a_fork_prints_and_ends_as_a_process_does(
    warm: tuple[Path, psutil.Process],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
) -> None:
    (tmp_path / "mrlm.toml").write_text(SETTINGS)
    forked = ended(running(warm[0], tmp_path, *arguments))
    assert capfd.readouterr().out == ""
    assert forked == ended(running(None, tmp_path, *arguments))
    assert forked[1] == code


def test_environment_and_working_folder_are_the_client_s(
    warm: tuple[Path, psutil.Process], tmp_path: Path
) -> None:
    (tmp_path / "named.toml").write_text(SETTINGS.replace("folds = 2", "foldz = 2"))
    printed, code = ended(running(warm[0], tmp_path, "status", MRLM_SETTINGS="named.toml"))
    assert code == 10
    assert "behaviour.foldz" in printed


def test_two_commands_run_at_once(warm: tuple[Path, psutil.Process], tmp_path: Path) -> None:
    with waiting(warm[0], tmp_path) as (_, worker):
        assert ended(running(warm[0], tmp_path, "nothing"))[1] == 2
        assert not gone(worker)


@pytest.mark.parametrize("forked", [True, False])
def test_a_command_that_is_ended_is_to_be_retried(
    warm: tuple[Path, psutil.Process], tmp_path: Path, forked: bool
) -> None:
    with waiting(warm[0] if forked else None, tmp_path) as (command, worker):
        command.end()
        assert gone(worker)
        assert command.wait() == 75


def test_a_client_that_goes_away_ends_its_worker(
    warm: tuple[Path, psutil.Process], tmp_path: Path
) -> None:
    with held(tmp_path) as arguments:
        command = [sys.executable, "-m", CLI, *arguments]
        code = (
            "import os; from pathlib import Path; from pipelines.local.warm_client import start; "
            f"c = start({command!r}, Path({str(tmp_path)!r}), dict(os.environ)); "
            "[print(x, flush=True) for x in c.lines()]"
        )
        environment = {**BASE, SOCKET_VARIABLE: str(warm[0])}
        client = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        with client:
            assert client.stdout is not None
            assert "waiting" in client.stdout.readline()
            worker = worker_in(tmp_path)
            client.kill()
        until(lambda: gone(worker))


def test_a_killed_worker_is_reported(warm: tuple[Path, psutil.Process], tmp_path: Path) -> None:
    with waiting(warm[0], tmp_path) as (command, worker):
        worker.send_signal(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL


def test_who_attends_to_a_worker_takes_it_along(
    warm: tuple[Path, psutil.Process], tmp_path: Path
) -> None:
    with waiting(warm[0], tmp_path) as (command, worker):
        handler = worker.parent()
        assert handler is not None
        assert handler.ppid() == warm[1].pid
        handler.kill()
        with pytest.raises(ChildProcessError, match="run it again"):
            command.wait()
        until(lambda: gone(worker))


def test_a_worker_s_exit_runs_what_was_registered_for_it(tmp_path: Path) -> None:
    code = (
        "import atexit; from pipelines.local import warm; "
        "warm.preload = lambda module: atexit.register(print, 'at exit'); warm.main()"
    )
    with served(tmp_path / "w", "-c", code) as (path, _):
        printed, code_of = ended(running(path, tmp_path, "nothing"))
    assert printed.endswith("No such command 'nothing'.\nat exit\n")
    assert code_of == 2


def test_a_task_s_command_is_forked(
    warm: tuple[Path, psutil.Process],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "dags"))
    monkeypatch.setenv(SOCKET_VARIABLE, str(warm[0]))
    monkeypatch.setenv("PYTHONPATH", BASE["PYTHONPATH"])
    import mrlm_tasks

    with pytest.raises(AirflowFailException, match="wrong command"):
        mrlm_tasks.run_mrlm(["nothing"])
    printed = capfd.readouterr().out
    assert "No such command" in printed
    assert "not forked" not in printed


@pytest.fixture
def services(tmp_path: Path) -> Iterator[tuple[Processes, Path]]:
    """A service that is needed, a warm parent that is not, and the parent's socket."""
    made, path = Processes(tmp_path / "processes.json"), tmp_path / "w" / "s"
    code = "from pipelines.local import warm; warm.preload = lambda module: None; warm.main()"
    needed = [sys.executable, "-c", "import time; time.sleep(600)"]
    try:
        made.start(needed, BASE, tmp_path / "needed.log")
        server = [sys.executable, "-P", "-c", code, str(path), CLI]
        made.start(server, BASE, tmp_path / "warm.log", needed=False)
        until(path.exists)
        yield made, path
    finally:
        made.stop()


def test_services_end_with_the_workers_of_the_warm_parent(
    services: tuple[Processes, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with waiting(services[1], folder) as (command, worker):
        services[0].stop()
        assert gone(worker)
        assert command.wait() == 75
    assert not services[1].exists()


def test_commands_and_services_go_on_without_the_warm_parent(
    services: tuple[Processes, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with waiting(services[1], folder) as (_, worker):
        handler = psutil.Process(worker.ppid())
        parent = psutil.Process(handler.ppid())
        parent.kill()
        until(lambda: gone(parent))
        assert not gone(worker)
        assert services[0].alive()


def test_changed_sources_are_not_forked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mrlm.toml").write_text(SETTINGS)
    cold = ("-c", COLD + "serve(Path(sys.argv[1]), sys.argv[2], 'another version')")
    with served(tmp_path / "w", *cold) as (path, _):
        assert ended(running(path, tmp_path, "nothing"))[1] == 2
        assert "the code has changed" in capfd.readouterr().out
        assert ended(running(path, tmp_path, "nothing", OMP_NUM_THREADS="7"))[1] == 2
        assert "another OMP_NUM_THREADS" in capfd.readouterr().out


def test_only_the_module_that_the_parent_was_told_is_forked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cold = ("-c", COLD + "serve(Path(sys.argv[1]), sys.argv[2], '')")
    with served(tmp_path / "w", *cold, module="json.tool") as (path, _):
        assert ended(running(path, tmp_path, "nothing"))[1] == 2
    assert "another program" in capfd.readouterr().out


def test_without_a_server_a_process_is_started(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    for place in (path, tmp_path / "nowhere", tmp_path / ("x" * 200)):
        assert ended(running(place, tmp_path, "nothing"))[1] == 2
        assert len(capfd.readouterr().out.splitlines()) == 1


def test_a_folder_that_others_may_enter_is_no_place_for_a_socket(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    code = COLD + "serve(Path(sys.argv[1]), sys.argv[2], '')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s"), CLI],
        env=BASE,
        capture_output=True,
        text=True,
    )
    assert "others may enter" in done.stderr
    assert not (tmp_path / "s").exists()


def test_threads_are_not_forked(tmp_path: Path) -> None:
    code = (
        "import threading as t; t.Thread(target=t.Event().wait, daemon=True).start(); "
        f"{COLD}serve(Path(sys.argv[1]), sys.argv[2], '')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s"), CLI],
        env=BASE,
        capture_output=True,
        text=True,
    )
    assert "started threads" in done.stderr


def test_the_client_imports_nothing_heavy() -> None:
    code = "import json, sys, pipelines.local.warm_client; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=BASE, capture_output=True, text=True, check=True
    )
    ours = [m for m in json.loads(done.stdout) if m.split(".")[0] in {"mrlm", "pipelines"}]
    assert ours == ["pipelines", "pipelines.local", "pipelines.local.warm_client"]
