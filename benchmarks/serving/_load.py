"""A server in a process of its own, and requests that come at their time, whatever it does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.serving import _version
from mrlm.promotion.serving.live import LiveRequest, LiveVersion

RATE = 200


@dataclass(frozen=True)
class Paced:
    """What came back.

    Attributes:
        milliseconds: of each answer, from the time at which its request was due.
        seconds: from the first request to the last answer.
        failed: answers with another status than 200.
    """

    milliseconds: list[float]
    seconds: float
    failed: int


def paced(live: LiveVersion, folder: Path, seconds: int) -> Paced:
    """Ask ``RATE`` times a second over one connection that stays open."""
    from benchmarks.serving import request

    _version.save(live, folder / "bundle")
    bodies = [_body(request(live, n)) for n in range(RATE)]
    command = [sys.executable, "-m", "benchmarks.serving._server", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if server.stdout is None:
            raise RuntimeError("the server has no output")
        port = int(server.stdout.readline())
        return _ask(HTTPConnection("127.0.0.1", port), bodies, seconds)
    finally:
        server.terminate()
        server.wait()


def _ask(connection: HTTPConnection, bodies: list[bytes], seconds: int) -> Paced:
    headers = {"content-type": "application/json"}
    # The first answer makes what is kept between answers.
    started = 0.0
    found, failed = [], 0
    for n in range(-20, RATE * seconds):
        if n == 0:
            started = time.perf_counter()
        due = started + n / RATE if n >= 0 else time.perf_counter()
        time.sleep(max(0.0, due - time.perf_counter()))
        connection.request("POST", "/recommend", bodies[n % len(bodies)], headers)
        response = connection.getresponse()
        response.read()
        if n >= 0:
            found.append(1e3 * (time.perf_counter() - due))
            failed += response.status != 200
    return Paced(found, time.perf_counter() - started, failed)


def _body(asked: LiveRequest) -> bytes:
    history = [asdict(e) for e in asked.history or ()]
    body = {"user_id": "u", "candidates": asked.candidates, "history": history, "k": 1}
    return json.dumps(body).encode()
