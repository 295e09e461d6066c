"""A Java that goes on after its process, for the next process whose session needs the same.

Java compiles what it runs as it runs it, so its first night costs twice the processor time of the
second (measured: an ingestion of the demonstration 48 s with the start, 21 s after another one).
Processes forked from one parent hand theirs on. Each has a session of its own, with its own
settings, and a Java whose process did not end well is not handed on: it ends with the process.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import select
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

# What is known of a Java is one short message.
_MESSAGE_BYTES = 4096
_END_SECONDS = 60.0
# What a process leaves behind in Java's memory is never freed; a fresh one costs less than a full
# one that collects all the time.
_USED_SHARE = 0.3
# Which task a process runs, and what Python's libraries are told: that is nothing to Java.
_NOT_READ = ("AIRFLOW", "_AIRFLOW", "MLFLOW_", "GX_", "DO_NOT_TRACK", "MRLM_")


@dataclass(frozen=True)
class KeptJava:
    """A Java that runs, and how to reach it.

    Attributes:
        process: its process id.
        port: where it listens, on this machine.
        secret: what it wants to hear first.
        started_with: a hash of what Java reads once, at its start.
        served: how many processes have had it.
    """

    process: int
    port: int
    secret: str
    started_with: str
    served: int = 1


class Shelf:
    """Where the processes of one family leave their Java, and where the next one finds it.

    It is a pair of connected sockets that every fork inherits. What lies there is in the kernel's
    hands: one process alone can take it, and once the whole family is gone, so is the last hold on
    Java's standard input, at whose end Java ends.
    """

    def __init__(self) -> None:
        self._into, self._out_of = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._out_of.setblocking(False)
        # What Java prints must not hold open the output of the process that started it.
        self.log = os.dup(2)

    def leave(self, java: KeptJava, standard_input: int) -> None:
        """Leave a Java, in place of any that lies there."""
        self.clear()
        socket.send_fds(self._into, [json.dumps(asdict(java)).encode()], [standard_input])

    def take(self, started_with: str) -> tuple[KeptJava, int] | None:
        """A Java that was started so, and the hold on its standard input; None if there is none.

        One that was started otherwise is ended.
        """
        found = self._received()
        if found is None:
            return None
        java, standard_input = found
        if java.started_with == started_with:
            return replace(java, served=java.served + 1), standard_input
        end(java, standard_input)
        return None

    def clear(self) -> None:
        """End whatever lies there, and wait until it has ended."""
        while (found := self._received()) is not None:
            end(*found)

    def _received(self) -> tuple[KeptJava, int] | None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._out_of, _MESSAGE_BYTES, 1)
        except BlockingIOError:
            return None
        return KeptJava(**json.loads(message)), descriptors[0]


def started_with(settings: Mapping[str, str], scratch: str, java_home: str) -> str:
    """A hash of all that Java reads when it starts: settings, environment, which Java it is.

    Args:
        settings: of Spark; those that name the folder ``scratch`` count as if they named none.
        scratch: a folder of one process.
        java_home: of Java.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_READ)}
    told = {k: v.replace(scratch, "") for k, v in settings.items()}
    return hashlib.sha256(
        json.dumps([told, environment, java_home], sort_keys=True).encode()
    ).hexdigest()


def connected(java: KeptJava) -> Any | None:
    """The gateway to a Java that runs already; None where it does not answer."""
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark.java_gateway import launch_gateway

    where = {"PYSPARK_GATEWAY_PORT": str(java.port), "PYSPARK_GATEWAY_SECRET": java.secret}
    os.environ.update(where)
    try:
        return launch_gateway()
    except (OSError, Py4JError):
        return None
    finally:
        for name in where:
            del os.environ[name]


def has_room(gateway: Any) -> bool:
    """Whether most of Java's memory is free once it has collected what nobody uses."""
    # What Python no longer holds, Java is told to forget.
    gc.collect()
    gateway.jvm.java.lang.System.gc()
    memory = gateway.jvm.java.lang.Runtime.getRuntime()
    used = memory.totalMemory() - memory.freeMemory()
    return bool(used < _USED_SHARE * memory.maxMemory())


def end(java: KeptJava, standard_input: int) -> None:
    """Close its standard input, and wait until it has ended."""
    try:
        ended = os.pidfd_open(java.process)
    except ProcessLookupError:
        ended = None
    os.close(standard_input)
    if ended is not None:
        with contextlib.closing(os.fdopen(ended)) as watched:
            select.select([watched], [], [], _END_SECONDS)
