"""Airflow on this machine: scheduler, dag-processor and api-server in process groups of our own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from filelock import FileLock, Timeout

from pipelines.contract.log import logger
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import BusyError
from pipelines.local.airflow_config import write_config
from pipelines.local.page_login import PageLogin
from pipelines.local.processes import Processes
from pipelines.local.warm_client import SOCKET_VARIABLE

# Tasks that run at a time. Each gets its share of the cores: threads that wait for a core that
# another process has spin, and a small product of matrices then takes several times the work.
PARALLEL = 2
# What runs the tasks' commands (dags/mrlm_tasks.py), for the warm parent to import.
_CLI = "pipelines.cli"
# The scheduler would also serve the tasks' logs, on every address of the machine; the page reads
# them where they lie.
_SERVICES = (("scheduler", "--skip-serve-logs"), ("dag-processor",), ("api-server",))
_START_SECONDS = 180.0
_POLL_SECONDS = 2.0
_FAILED_POLLS = 30
# A unix socket's address holds no longer path.
_SOCKET_BYTES = 100
ROOT = Path(__file__).resolve().parents[2]
# A proxy that the environment names would see the login.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def _warm_socket() -> Path | None:
    """Where the warm parent will listen, in a folder that is ours alone; None where it cannot."""
    if sys.platform != "linux":
        return None
    folder = Path(tempfile.mkdtemp(prefix="mrlm-"))
    path = folder / "warm.sock"
    if len(os.fsencode(path)) > _SOCKET_BYTES:
        folder.rmdir()
        return None
    return path


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def threads_each() -> str:
    """Threads of the numerical libraries in each of the tasks that run at a time."""
    return str(max(1, (os.cpu_count() or 1) // PARALLEL))


@dataclass
class LocalAirflow:
    """Airflow's three services over one home folder.

    Attributes:
        workspace: Airflow's home is its folder ``airflow``.
        settings_path: the settings that every task reads.
        port: of the page and the API, on 127.0.0.1.
        login: the one user, an administrator.
    """

    workspace: Workspace
    settings_path: Path
    port: int = field(default_factory=free_port)
    login: PageLogin = field(default_factory=PageLogin.new)
    _secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    _token: str = field(default="", repr=False)
    _serving: FileLock = field(init=False, repr=False)
    _warm: Path | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._serving = FileLock(self.workspace.airflow / "serving.lock", thread_local=False)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def login_file(self) -> Path:
        """Where the login lies while the services run; readable for this account alone."""
        return self.workspace.airflow / "login.json"

    @property
    def processes(self) -> Processes:
        """The services, and those that a killed run left."""
        return Processes(self.workspace.airflow / "processes.json")

    def environment(self) -> dict[str, str]:
        """The environment of Airflow's services and tasks."""
        home = self.workspace.airflow.resolve()
        warm = {} if self._warm is None else {SOCKET_VARIABLE: str(self._warm)}
        return {
            "OMP_NUM_THREADS": threads_each(),
            **os.environ,
            **warm,
            "AIRFLOW_HOME": str(home),
            "MRLM_SETTINGS": str(self.settings_path.resolve()),
            "MRLM_SCHEDULE": "manual",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "dags")]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(PARALLEL),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "infra" / "airflow" / "plugins"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{self.login.user}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.login_file.resolve()),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{quote(str(home))}/airflow.db",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            # A night is a chain of short tasks, and each waits for the scheduler's next look.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
            # Files that were installed do not change while this runs: parsing them again every half
            # minute takes a twentieth of two cores.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
        }

    def start(self) -> None:
        """Start the services and wait until the API answers and the DAGs are known.

        Raises:
            BusyError: they did not start in time; names the log.
        """
        self.workspace.airflow.mkdir(parents=True, exist_ok=True)
        # The login, Airflow's keys and the tasks' logs are for this account alone.
        self.workspace.airflow.chmod(0o700)
        try:
            self._serving.acquire(timeout=0)
        except Timeout as error:
            raise BusyError(
                f"another 'make run' or 'make ui' serves {self.workspace.airflow}: stop it first"
            ) from error
        # Nobody serves, so what is recorded was left by a run that was killed.
        self.processes.stop()
        self._warm = _warm_socket()
        self.login.write(self.login_file)
        write_config(self.workspace.airflow)
        environment = self.environment()
        for command in (["db", "migrate"], ["pools", "import", f"{ROOT}/infra/airflow/pools.json"]):
            self._command(command, environment)
        for service in _SERVICES:
            command = [sys.executable, "-m", "airflow", *service]
            self.processes.start(command, environment, self.workspace.airflow / f"{service[0]}.log")
        if self._warm is not None:
            # Tasks that come before it has imported everything start their processes themselves.
            # With -P, no file of the working folder passes for a module.
            command = [sys.executable, "-P", "-m", "pipelines.local.warm", str(self._warm), _CLI]
            log = self.workspace.airflow / "warm.log"
            self.processes.start(command, environment, log, needed=False)
        self._wait_for_dags()

    def stop(self) -> None:
        """Stop the services and everything that they started."""
        if self._serving.is_locked:
            self.processes.stop()
            self.login_file.unlink(missing_ok=True)
            if self._warm is not None:
                shutil.rmtree(self._warm.parent, ignore_errors=True)
                self._warm = None
            self._serving.release()

    def trigger(self, dag: str, parameters: Mapping[str, Any]) -> str:
        """Trigger a DAG by hand and return the run's id."""
        body = {"logical_date": None, "conf": dict(parameters)}
        run = self.request("POST", f"dags/{dag}/dagRuns", body)
        return str(run["dag_run_id"])

    def wait(self, dag: str, run_id: str, show: Any = None) -> str:
        """Wait until a run ends, calling ``show(task, state)`` on each change; its last state."""
        seen: dict[str, str] = {}
        failures = 0
        path = f"dags/{dag}/dagRuns/{run_id}"
        while True:
            try:
                state = str(self.request("GET", path)["state"])
                tasks = self.request("GET", f"{path}/taskInstances?limit=100")["task_instances"]
            except (URLError, OSError, RuntimeError) as error:
                # One slow answer of a busy server is no reason to end a night.
                failures += 1
                if failures > _FAILED_POLLS or not self.processes.alive():
                    raise BusyError(
                        f"Airflow does not answer ({error}); see {self.workspace.airflow}/*.log"
                    ) from error
                time.sleep(_POLL_SECONDS)
                continue
            failures = 0
            for task in tasks:
                name, now = task["task_id"], task["state"] or "waiting"
                if seen.get(name) != now:
                    seen[name] = now
                    if show is not None:
                        show(name, now)
            if state in {"success", "failed"}:
                return state
            if not self.processes.alive():
                raise BusyError(f"an Airflow service ended; see {self.workspace.airflow}/*.log")
            time.sleep(_POLL_SECONDS)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Call Airflow's public API."""
        request = urllib.request.Request(  # noqa: S310 - always http on 127.0.0.1
            f"{self.url}/api/v2/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self._login()}",
            },
        )
        try:
            with _direct(request, timeout=60) as answer:
                return json.load(answer)
        except HTTPError as error:
            detail = error.read().decode(errors="replace")[:500]
            raise RuntimeError(
                f"Airflow answered {error.code} to {method} {path}: {detail}"
            ) from error

    def _login(self) -> str:
        if not self._token:
            if not self.processes.listen_on(self.port):
                raise ConnectionError(f"no service of ours listens on port {self.port} yet")
            request = urllib.request.Request(  # noqa: S310 - always http on 127.0.0.1
                f"{self.url}/auth/token",
                data=json.dumps(
                    {"username": self.login.user, "password": self.login.password}
                ).encode(),
                headers={"Content-Type": "application/json"},
            )
            with _direct(request, timeout=60) as answer:
                self._token = str(json.load(answer)["access_token"])
        return self._token

    def _wait_for_dags(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not self.processes.alive():
                break
            try:
                found = self.request("GET", "dags?limit=100")["dags"]
                if any(d["dag_id"] == "nightly_retrain" for d in found):
                    return
            except (URLError, ConnectionError, TimeoutError, RuntimeError):
                pass
            time.sleep(_POLL_SECONDS)
        self.stop()
        raise BusyError(f"Airflow did not start; see {self.workspace.airflow}/*.log")

    def _command(self, arguments: list[str], environment: dict[str, str]) -> None:
        log = self.workspace.airflow / "setup.log"
        with log.open("ab") as stream:
            result = subprocess.run(
                [sys.executable, "-m", "airflow", *arguments],
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if result.returncode != 0:
            logger.error("airflow %s failed; see %s", " ".join(arguments), log)
            raise BusyError(f"airflow {' '.join(arguments)} failed; see {log}")
