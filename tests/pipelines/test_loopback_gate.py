"""The gate of the pages on this machine, request by request; test_airflow.py tries the pages."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import MutableMapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pipelines.contract.workspace import Workspace
from pipelines.local.airflow import LocalAirflow
from pipelines.local.loopback_gate import LoopbackGate
from pipelines.local.page_login import PageLogin

OWN = ("host", "127.0.0.1:8080")


def answered(
    *headers: tuple[str, str], kind: str = "http", login: PageLogin | None = None
) -> list[Any]:
    """What comes back: statuses and closing codes; "passed" where the application was reached."""
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append("passed")

    async def receive() -> MutableMapping[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        seen.extend(message[k] for k in ("status", "code") if k in message)

    scope = {"type": kind, "path": "/", "method": "POST"}
    scope["headers"] = [(n.encode(), v.encode()) for n, v in headers]
    asyncio.run(LoopbackGate(application, login)(scope, receive, send))
    return seen


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost:8080", "LocalHost"])
def test_this_machine_passes_at_every_port(host: str) -> None:
    # Through a tunnel the port is another than the one that is served.
    assert answered(("host", host)) == ["passed"]
    assert answered(("host", host), ("origin", f"http://{host}")) == ["passed"]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("host", ""),),
        (("host", "evil.example"),),
        (("host", "127.0.0.1.evil.example"),),
        (("host", "127.0.0.1@evil.example"),),
        (("host", "0.0.0.0:8080"),),
        (("host", "[::1]:8080"),),
        (OWN, ("host", "evil.example")),
        (OWN, ("origin", "http://evil.example")),
        (OWN, ("origin", "null")),
        (OWN, ("origin", "http://127.0.0.1:8081")),
        (OWN, ("origin", "http://localhost:8080")),
        (OWN, ("origin", "https://127.0.0.1:8080")),
        (OWN, ("origin", "http://127.0.0.1:8080"), ("origin", "http://evil.example")),
    ],
)
def test_everybody_else_is_refused(headers: tuple[tuple[str, str], ...]) -> None:
    assert answered(*headers) == [403]
    assert answered(*headers, kind="websocket") == [1008]
    assert answered(*headers, kind="lifespan") == ["passed"]


def test_a_login_is_asked_for_where_there_is_one() -> None:
    login = PageLogin("ada", "a word: with a colon")
    right = b64encode(b"ada:a word: with a colon").decode()
    assert answered(OWN, ("authorization", f"Basic {right}"), login=login) == ["passed"]
    for wrong in ("", "Basic", f"Bearer {right}", f"Basic {right}x", "Basic YWRhOg=="):
        assert answered(OWN, ("authorization", wrong), login=login) == [401]
    assert answered(OWN, login=login) == [401]
    assert answered(("host", "evil.example"), login=login) == [403]


def test_each_login_is_new_and_for_one_account(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOGNAME", "ada:admin, eve")
    one, two = PageLogin.new(), PageLogin.new()
    assert one.user == two.user == "ada-admin-eve"
    assert one.password != two.password
    assert len(one.password) >= 32
    assert one.password not in repr(one)
    path = tmp_path / "login.json"
    path.touch(mode=0o644)
    one.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert PageLogin.read(path) == one


def test_who_took_the_port_first_is_told_nothing(tmp_path: Path) -> None:
    heard: list[str] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.path)
            self.send_error(404)

        do_GET = do_POST

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        Thread(target=server.serve_forever).start()
        try:
            airflow = LocalAirflow(
                Workspace(tmp_path), tmp_path / "mrlm.toml", port=server.server_port
            )
            with pytest.raises(ConnectionError, match="no service of ours"):
                airflow.request("GET", "dags")
        finally:
            server.shutdown()
    assert heard == []
