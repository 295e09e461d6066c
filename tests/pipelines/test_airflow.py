"""The pages of `mrlm ui`, and through them Airflow: a night, a review by a person, a rollback."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import psutil
import pytest

from pipelines.care.summary import manifests_of
from pipelines.contract.deployment import champion_version, place_of
from pipelines.local.airflow import LocalAirflow
from pipelines.local.page_login import PageLogin
from pipelines.running.night import closing_of
from pipelines.stages import ORDER
from tests.deployment import NIGHTS, ROOT, Deployment

pytestmark = [pytest.mark.night, pytest.mark.spark]

NIGHT = NIGHTS[4]
_FOREIGN_HOSTS = ("evil.example", "10.evil.example", "127.0.0.1.evil.example", "localhost.example")


@dataclass
class Pages:
    """`mrlm ui` as a person has it in front of them.

    Attributes:
        process: the command.
        printed: what it wrote to its terminal.
        sockets: kind, address and program of each socket that waited for others, while it ran.
    """

    process: subprocess.Popen[bytes]
    printed: str = ""
    sockets: set[tuple[str, str, str]] = field(default_factory=set)

    def listen(self, terminal: int) -> None:
        """Keep what is printed until the terminal is closed."""
        with suppress(OSError):
            while data := os.read(terminal, 4096):
                self.printed += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode())

    def watch(self) -> None:
        """Look at the sockets of all descendants, until the command ends."""
        while self.process.poll() is None:
            with suppress(psutil.Error):
                for child in psutil.Process(self.process.pid).children(recursive=True):
                    self._look_at(child)
            time.sleep(0.5)

    def _look_at(self, child: psutil.Process) -> None:
        with suppress(psutil.Error):
            for c in child.net_connections("inet"):
                # Sockets for datagrams have no state.
                if c.status in {psutil.CONN_LISTEN, psutil.CONN_NONE} and not c.raddr:
                    address = c.laddr.ip if c.laddr else ""
                    self.sockets.add((c.type.name, address, child.name()))

    def shown(self, pattern: str) -> str:
        """What a person reads there."""
        found = re.search(pattern, self.printed)
        assert found is not None, self.printed
        return found[1].strip()


@pytest.fixture(scope="module")
def pages(deployment: Deployment) -> Iterator[Pages]:
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "pipelines.cli", "ui", "--workspace", str(deployment.folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=end, stdout=end, stderr=end, start_new_session=True
    )
    os.close(end)
    made = Pages(process)
    threads = [threading.Thread(target=made.listen, args=(terminal,))]
    threads.append(threading.Thread(target=made.watch))
    for thread in threads:
        thread.start()
    family: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 300
        while "Ctrl-C" not in made.printed:
            assert process.poll() is None, made.printed
            assert time.monotonic() < deadline, made.printed
            time.sleep(0.2)
        yield made
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
        for thread in threads:
            thread.join()
        os.close(terminal)
    assert len(family) >= 5
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    home = deployment.folder / "workspace" / "airflow"
    assert not (home / "processes.json").exists()
    assert not (home / "login.json").exists()


@pytest.fixture(scope="module")
def airflow(pages: Pages, deployment: Deployment) -> LocalAirflow:
    """The API for who has read the terminal."""
    return LocalAirflow(
        deployment.context(NIGHT).workspace,
        deployment.settings_path,
        port=int(pages.shown(r"Airflow +http://127\.0\.0\.1:(\d+)")),
        login=PageLogin(pages.shown(r"user (\S+),"), pages.shown(r"password (\S+)")),
    )


def states(airflow: LocalAirflow, dag: str, run: str) -> dict[str, str]:
    found = airflow.request("GET", f"dags/{dag}/dagRuns/{run}/taskInstances?limit=100")
    return {t["task_id"]: t["state"] for t in found["task_instances"]}


def test_a_night_through_the_scheduler(airflow: LocalAirflow, deployment: Deployment) -> None:
    run = airflow.trigger("nightly_retrain", {"night": NIGHT})
    ended = airflow.wait("nightly_retrain", run)
    found = states(airflow, "nightly_retrain", run)
    assert ended == "success", found
    assert {found[n] for n in (*ORDER, "close")} == {"success"}
    assert found["request_review"] == "skipped"
    context = deployment.context(NIGHT)
    assert list(manifests_of(context)) == list(ORDER)
    closing = closing_of(context)
    assert closing is not None
    assert closing.verdict in {"promoted", "refused"}
    assert not (context.workspace.locks / f"night-{NIGHT}.json").exists()


def test_a_wrong_night_fails_at_once_and_is_red(airflow: LocalAirflow) -> None:
    run = airflow.trigger("nightly_retrain", {"night": "2020-01-01"})
    assert airflow.wait("nightly_retrain", run) == "failed"
    path = f"dags/nightly_retrain/dagRuns/{run}/taskInstances/ingest"
    assert airflow.request("GET", path)["try_number"] == 1
    log = airflow.request("GET", f"{path}/logs/1")
    assert "2020-01-01" in json.dumps(log["content"])


def awaited(airflow: LocalAirflow, run: str) -> None:
    deadline = time.monotonic() + 120
    while states(airflow, "promotion_review", run).get("decision") != "awaiting_input":
        assert time.monotonic() < deadline, states(airflow, "promotion_review", run)
        time.sleep(1)


def answer(airflow: LocalAirflow, run: str, body: dict[str, Any]) -> None:
    path = f"dags/promotion_review/dagRuns/{run}/taskInstances/decision/-1/hitlDetails"
    awaited(airflow, run)
    # An answer within the second in which the scheduler books the pause is lost to a retry.
    time.sleep(8)
    airflow.request("PATCH", path, body)


def test_a_person_rejects_and_the_ledger_knows_who(
    airflow: LocalAirflow, deployment: Deployment
) -> None:
    context = deployment.context(NIGHT)
    place = place_of(context.settings, context.workspace)
    before = champion_version(place)
    run = airflow.trigger("promotion_review", {"run_key": context.run_key})
    form = {"reason": "the list looks odd"}
    answer(airflow, run, {"chosen_options": ["Reject"], "params_input": form})
    airflow.wait("promotion_review", run)
    found = states(airflow, "promotion_review", run)
    assert (found["record"], found["promote"]) == ("success", "skipped")
    words = [e for e in place.ledger.entries() if e.kind == "rejected"]
    assert [(e.run_key, e.actor, e.reason) for e in words] == [
        (context.run_key, airflow.login.user, "the list looks odd")
    ]
    assert airflow.login.user.lower() not in {"", "anonymous"}
    assert champion_version(place) == before


def test_a_task_marked_a_success_by_hand_decides_nothing(
    airflow: LocalAirflow, deployment: Deployment
) -> None:
    context = deployment.context(NIGHT)
    place = place_of(context.settings, context.workspace)
    before = place.ledger.entries()
    run = airflow.trigger("promotion_review", {"run_key": context.run_key})
    awaited(airflow, run)
    path = f"dags/promotion_review/dagRuns/{run}/taskInstances/decision"
    airflow.request("PATCH", path, {"new_state": "success"})
    assert airflow.wait("promotion_review", run) == "failed"
    assert states(airflow, "promotion_review", run)["record"] == "failed"
    assert place.ledger.entries() == before


def test_rollback_needs_an_earlier_champion_and_is_written_down(
    airflow: LocalAirflow, deployment: Deployment
) -> None:
    context = deployment.context(NIGHT)
    place = place_of(context.settings, context.workspace)
    before = champion_version(place)
    run = airflow.trigger("rollback_champion", {"actor": "Grace", "reason": "a drill"})
    ended = airflow.wait("rollback_champion", run)
    if before == 1:
        # Nothing was promoted, so there is nothing to go back to.
        assert ended == "failed"
        return
    assert ended == "success", states(airflow, "rollback_champion", run)
    assert champion_version(place) == 1
    last = place.ledger.entries()[-1]
    assert (last.kind, last.actor, last.reason) == ("rolled_back", "Grace", "a drill")


# Who may use the pages.


def call(
    url: str, headers: Mapping[str, str] | None = None, body: Mapping[str, str] | None = None
) -> int:
    """The status of the answer to a GET, or to a POST of JSON."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, sent)  # noqa: S310 - always http on 127.0.0.1
    try:
        with urllib.request.urlopen(request, timeout=60) as found:  # noqa: S310
            return int(found.status)
    except HTTPError as error:
        return error.code


def credentials(airflow: LocalAirflow) -> dict[str, str]:
    return {"username": airflow.login.user, "password": airflow.login.password}


def mlflow_page(pages: Pages) -> str:
    return pages.shown(r"MLflow +(http://127\.0\.0\.1:\d+)/")


def mlflow_login(airflow: LocalAirflow) -> dict[str, str]:
    pair = f"{airflow.login.user}:{airflow.login.password}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def test_nothing_is_given_without_the_password(pages: Pages, airflow: LocalAirflow) -> None:
    address, wrong = airflow.url, {**credentials(airflow), "password": "guess"}
    assert call(f"{address}/auth/token", body=credentials(airflow)) == 201
    for path in ("/auth/token", "/auth/token/cli"):
        assert call(f"{address}{path}", body=wrong) == 401
        assert call(f"{address}{path}", body={**wrong, "password": ""}) in {400, 401, 422}
    assert call(f"{address}/auth/token") == 403
    assert call(f"{address}/auth/token/login") == 403
    for path in ("dags", "connections", "variables", "dags/nightly_retrain/dagRuns"):
        assert call(f"{address}/api/v2/{path}") == 401
        assert call(f"{address}/api/v2/{path}", {"Authorization": "Bearer guess"}) in {401, 403}
    run = {"Authorization": "Bearer guess"}
    assert call(f"{address}/api/v2/dags/nightly_retrain/dagRuns", run, {}) in {401, 403}

    address, login = mlflow_page(pages), mlflow_login(airflow)
    for path in ("/", "/health", "/api/2.0/mlflow/registered-models/search"):
        assert call(f"{address}{path}", login) == 200
        assert call(f"{address}{path}") == 401
        assert call(f"{address}{path}", {"Authorization": "Basic Z3Vlc3M6Z3Vlc3M="}) == 401


def test_foreign_hosts_and_origins_are_refused(pages: Pages, airflow: LocalAirflow) -> None:
    addresses = {
        airflow.url: ("/", "/auth/login", "/auth/token", "/api/v2/dags", "/execution/health"),
        mlflow_page(pages): ("/", "/health", "/api/2.0/mlflow/registered-models/search"),
    }
    login = mlflow_login(airflow)
    for address, paths in addresses.items():
        port = urlsplit(address).port
        foreign = [f"{name}:{port}" for name in _FOREIGN_HOSTS]
        origins = [f"http://{name}" for name in foreign]
        origins += ["null", "http://127.0.0.1:1", f"https://127.0.0.1:{port}"]
        for path in paths:
            own = call(f"{address}{path}", login)
            assert call(f"{address}{path}", {**login, "Host": f"localhost:{port}"}) == own
            assert call(f"{address}{path}", {**login, "Origin": address}) == own
            for host in foreign:
                assert call(f"{address}{path}", {**login, "Host": host}) in {400, 403}, host
            for origin in origins:
                assert call(f"{address}{path}", {**login, "Origin": origin}) == 403, origin
    token = f"{airflow.url}/auth/token"
    assert call(token, {"Origin": airflow.url}, credentials(airflow)) == 201
    assert call(token, {"Origin": "http://evil.example"}, credentials(airflow)) == 403
    assert call(token, {"Host": "evil.example"}, credentials(airflow)) in {400, 403}


def test_a_proxy_never_sees_the_login(
    airflow: LocalAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    again = LocalAirflow(
        airflow.workspace, airflow.settings_path, port=airflow.port, login=airflow.login
    )
    assert again.request("GET", "dags")["dags"]


def test_the_password_is_in_its_file_and_nowhere_else(
    pages: Pages, airflow: LocalAirflow, deployment: Deployment
) -> None:
    home = deployment.folder / "workspace" / "airflow"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(airflow.login_file.stat().st_mode) == 0o600
    assert json.loads(airflow.login_file.read_text()) == {
        airflow.login.user: airflow.login.password
    }
    assert pages.printed.count(airflow.login.password) == 1
    secret = airflow.login.password.encode()
    for path in deployment.folder.rglob("*"):
        if path.is_file() and path.resolve() != airflow.login_file.resolve():
            assert secret not in path.read_bytes(), path
    registry = f"{deployment.folder}/workspace/registry/mlflow.db"
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = process.read_bytes()
            assert secret not in line
            assert registry.encode() not in line
    # What Airflow would write there names the folder; a copy would go on in it.
    assert str(deployment.folder) not in (home / "airflow.cfg").read_text()


def test_every_socket_that_waits_for_others_is_on_127_0_0_1(
    pages: Pages, airflow: LocalAirflow
) -> None:
    """Of all that ran since the start, a night with Spark among it, as the kernel lists them."""
    del airflow
    programs = {name for _, _, name in pages.sockets}
    assert {"java"} <= programs, programs
    assert len(programs) >= 3
    own = {"127.0.0.1", "::ffff:127.0.0.1"}
    assert {s for s in pages.sockets if s[1] not in own} == set()
