"""``mrlm serve`` in a process of its own, whose clock whoever asks it sets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

_PATIENCE = 120.0
_POLL = 0.1
# The server closes a connection that is quiet for five seconds.
_IDLE = 3.0
_HEADERS = {"content-type": "application/json"}


class Server:
    """A server of a deployment, from ``with`` on.

    Args:
        settings: the deployment's settings file.
        environment: variables beside those of this process.
        at: what its clock shows at first, see ``set_clock``.
    """

    def __init__(self, settings: Path, environment: dict[str, str], at: str) -> None:
        self._settings, self._environment = settings, environment
        self._clock = settings.with_name("clock")
        self._printed = settings.with_name("server.log")
        self._used = time.monotonic()
        self.set_clock(at)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.loop._world_time", str(self._clock), "serve"]
        command += ["--port", "0", "--settings", str(self._settings)]
        with self._printed.open("w") as out:
            self._process = subprocess.Popen(
                command, env={**os.environ, **self._environment}, stdout=out, stderr=out
            )
        try:
            self._connection = HTTPConnection("127.0.0.1", self._port())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._end()

    def set_clock(self, at: str) -> None:
        """What the server's clock shows from now on, ISO, with an offset."""
        new = self._clock.with_suffix(".new")
        new.write_text(at)
        new.replace(self._clock)

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            RuntimeError: it was not answered.
        """
        return self._said("POST", "/recommend", json.dumps(body))

    def wait_for(self, policy_id: str, catalog_night: str) -> None:
        """Wait until these serve, or newer items: the server looks for them by itself.

        Raises:
            RuntimeError: they do not within two minutes.
        """
        latest, health = time.monotonic() + _PATIENCE, {}
        while time.monotonic() < latest:
            health = self._said("GET", "/health")
            if health["policy_id"] == policy_id and health["catalog_night"] >= catalog_night:
                return
            time.sleep(_POLL)
        raise RuntimeError(f"{policy_id} over {catalog_night} does not serve, but {health}")

    def _said(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        now = time.monotonic()
        if now - self._used > _IDLE:
            self._connection.close()
        self._used = now
        self._connection.request(method, path, body, _HEADERS)
        response = self._connection.getresponse()
        said = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: status {response.status}: {said!r}, of {body}")
        answer: dict[str, Any] = json.loads(said)
        return answer

    def _port(self) -> int:
        latest = time.monotonic() + _PATIENCE
        while time.monotonic() < latest and self._process.poll() is None:
            found = re.search(r"running on http://[^:]+:(\d+)", self._printed.read_text())
            if found:
                return int(found[1])
            time.sleep(_POLL)
        raise RuntimeError(f"the server does not start:\n{self._printed.read_text()}")

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()
