"""A command in a process of its own: started anew, or forked from the warm parent of warm.py.

Airflow's files import this module, so it imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Protocol

SOCKET_VARIABLE = "MRLM_WARM_SOCKET"
# Beyond it a busy machine is not the reason. A command that ends is given the same time to do so by
# either kind.
_ANSWER_SECONDS = 60.0
GRACE_SECONDS = 30.0


class Running(Protocol):
    """A command that runs."""

    def lines(self) -> Iterator[str]:
        """What it prints, output and errors together, until it closes them."""
        ...

    def wait(self) -> int:
        """Wait until it ends; its exit code, or minus the signal that killed it.

        Raises:
            ChildProcessError: nobody knows how it ended.
        """
        ...

    def end(self) -> None:
        """End it if it runs: SIGTERM, then SIGKILL after half a minute."""
        ...


def start(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Running:
    """Run a command: in a fork of the warm parent if ``environment`` names one that takes it.

    Args:
        command: this Python, ``-m`` and the command line's module, and what follows them.
        folder: the working folder.
        environment: of the command, whole.
    """
    path = environment.get(SOCKET_VARIABLE)
    # What macOS's frameworks start does not survive a fork.
    if path and sys.platform == "linux":
        try:
            return _forked(path, command, folder, environment)
        except (OSError, ValueError) as error:
            print(f"not forked from the warm parent: {error}", flush=True)  # noqa: T201 - task's log
    return _Started(command, folder, environment)


class _Started:
    """A command in a process that was started anew."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def lines(self) -> Iterator[str]:
        yield from self._process.stdout or ()

    def wait(self) -> int:
        return self._process.wait()

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class _Forked:
    """A command in a fork of the warm parent, which ends it when the connection closes."""

    def __init__(
        self, connection: socket.socket, answers: IO[str], output: IO[str], opened: ExitStack
    ) -> None:
        self._connection, self._answers, self._output = connection, answers, output
        self._opened = opened
        self._code: int | None = None

    def lines(self) -> Iterator[str]:
        yield from self._output

    def wait(self) -> int:
        if self._code is None:
            answer = self._answers.readline()
            if not answer:
                raise ChildProcessError(
                    "who started the command in the warm parent is gone, and nobody knows how the "
                    "command ended: run it again"
                )
            self._code = int(json.loads(answer)["code"])
        return self._code

    def end(self) -> None:
        if self._code is None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
                self.wait()
        self._opened.close()


def _forked(
    path: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> _Forked:
    with ExitStack() as opened:
        connection = opened.enter_context(socket.socket(socket.AF_UNIX))
        connection.settimeout(_ANSWER_SECONDS)
        connection.connect(path)
        if _user_of(connection) != os.getuid():
            raise PermissionError(f"{path} belongs to another user")
        reading, writing = os.pipe()
        output = opened.enter_context(open(reading))  # noqa: PTH123 - a descriptor, not a path
        request = {"command": [*command], "folder": str(folder), "environment": {**environment}}
        message = json.dumps(request).encode() + b"\n"
        try:
            sent = socket.send_fds(connection, [message], [writing])
            # Even to send nothing fails where a parent that refuses has answered and closed.
            if sent < len(message):
                connection.sendall(message[sent:])
        finally:
            os.close(writing)
        answers = opened.enter_context(connection.makefile())
        answer = json.loads(answers.readline() or "{}")
        if "forked" not in answer:
            raise ConnectionError(answer.get("refused", "it did not answer"))
        connection.settimeout(None)
        return _Forked(connection, answers, output, opened.pop_all())


def _user_of(connection: socket.socket) -> int:
    """The user whose process listens at the other end."""
    about = struct.Struct("3i")
    answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, about.size)
    return int(about.unpack(answer)[1])
