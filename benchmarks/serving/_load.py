"""Requests to a server that come at their time, whatever it does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection

import psutil

_HEADERS = {"content-type": "application/json"}
# The first answers make what is kept between answers.
_FIRST = 20


@dataclass(frozen=True)
class Server:
    """Where a server listens, and its process."""

    port: int
    process: int

    def processor_seconds(self) -> float:
        """What it and its children have used so far."""
        process = psutil.Process(self.process)
        times = [p.cpu_times() for p in (process, *process.children(recursive=True))]
        return float(sum(t.user + t.system for t in times))


@dataclass(frozen=True)
class Paced:
    """What came back.

    Attributes:
        milliseconds: of each answer, from the time at which its request was due.
        seconds: from the first request to the last answer.
        processor: milliseconds of the server's processor time, on the mean of all answers.
        failed: answers with another status than 200.
    """

    milliseconds: list[float]
    seconds: float
    processor: float
    failed: int


def paced(server: Server, path: str, bodies: Sequence[bytes], rate: int, seconds: int) -> Paced:
    """Ask ``rate`` times a second over one connection that stays open."""
    connection = HTTPConnection("127.0.0.1", server.port)
    started, used = 0.0, 0.0
    found, failed = [], 0
    for n in range(-_FIRST, rate * seconds):
        if n == 0:
            started, used = time.perf_counter(), server.processor_seconds()
        due = started + n / rate if n >= 0 else time.perf_counter()
        time.sleep(max(0.0, due - time.perf_counter()))
        connection.request("POST", path, bodies[n % len(bodies)], _HEADERS)
        response = connection.getresponse()
        response.read()
        if n >= 0:
            found.append(1e3 * (time.perf_counter() - due))
            failed += response.status != 200
    connection.close()
    took, used = time.perf_counter() - started, server.processor_seconds() - used
    return Paced(found, took, 1e3 * used / len(found), failed)
