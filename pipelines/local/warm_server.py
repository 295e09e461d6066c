"""The warm parent's socket: for each connection a handler, which forks a worker and attends to it.

The server reads nothing from a connection, so a slow client holds up its own handler alone.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pipelines.contract.code_version import sources_version
from pipelines.contract.log import logger
from pipelines.local.warm_client import GRACE_SECONDS

# A request is one line of JSON: a command and an environment.
_CHUNK = 1 << 16
_REQUEST_SECONDS = 30.0
_STOPPING = (signal.SIGTERM, signal.SIGINT)
# Python and its libraries read these when they start: a fork cannot follow a change.
_READ_AT_START = ("PYTHON", "LD_", "OMP_", "OPENBLAS_", "MKL_")
# The worker writes its lines at once in any case.
_NOT_READ = frozenset({"PYTHONUNBUFFERED"})
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Request:
    """A command that a client wants to run.

    Attributes:
        command: this Python, ``-m`` and the command line's module, and what follows them.
        folder: the working folder.
        environment: whole.
    """

    command: list[str]
    folder: str
    environment: dict[str, str]


class _StoppedError(Exception):
    """The server was told to end."""


def serve(path: Path, module: str, version: str) -> Request | None:
    """Fork a process for each command that comes, until a signal ends the server.

    Args:
        path: the socket; nobody else may enter its folder.
        module: the command line that this process has imported; nothing else is run.
        version: of the code that this process has imported.

    Returns:
        In a forked worker, what it has to run; in the server itself, None.

    Raises:
        RuntimeError: this process has threads, which a fork would lose.
        OSError: the socket cannot be made there.
    """
    if threading.active_count() != 1:
        names = ", ".join(t.name for t in threading.enumerate())
        raise RuntimeError(
            f"what was imported started threads, which do not survive a fork: {names}"
        )
    sys.stdout.flush()
    handlers: set[int] = set()
    listener = _listen(path)
    for signum in _STOPPING:
        signal.signal(signum, _stop)
    signal.signal(signal.SIGCHLD, lambda *_: _reap(handlers))
    try:
        while True:
            connection, _ = listener.accept()
            with _undisturbed():
                handler = os.fork()
                if handler == 0:
                    _default_signals()
                    listener.close()
                else:
                    handlers.add(handler)
            if handler == 0:
                return _handle(connection, module, version)
            connection.close()
    except _StoppedError:
        _default_signals(stopping=signal.SIG_IGN)
    listener.close()
    path.unlink(missing_ok=True)
    _reap(handlers)
    for handler in handlers:
        os.kill(handler, signal.SIGTERM)
    for handler in handlers:
        os.waitpid(handler, 0)
    return None


def _listen(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    about = path.parent.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise PermissionError(
            f"others may enter {path.parent}: name a socket in a folder of mode 0700 that is yours"
        )
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen()
    return listener


def _handle(connection: socket.socket, module: str, version: str) -> Request:
    """Fork a worker, attend to it and end this process; returns in the worker alone."""
    connection.settimeout(_REQUEST_SECONDS)
    try:
        request, output = _receive(connection)
    except (OSError, ValueError, KeyError) as error:
        logger.error("a request that cannot be read: %r", error)
        os._exit(1)
    refused = _refusal(request, module, version)
    if refused is not None:
        _answer(connection, {"refused": refused})
        os._exit(0)
    connection.settimeout(None)
    handler = os.getpid()
    with _undisturbed():
        worker = os.fork()
        if worker == 0:
            _become_worker(handler, output)
        else:
            for signum in _STOPPING:
                # From here on it is as if the client had gone.
                signal.signal(signum, lambda *_: connection.shutdown(socket.SHUT_RD))
    if worker == 0:
        connection.close()
        return request
    os.close(output)
    _answer(connection, {"forked": worker})
    _answer(connection, {"code": _attend(connection, worker)})
    os._exit(0)


def _receive(connection: socket.socket) -> tuple[Request, int]:
    message, descriptors, _, _ = socket.recv_fds(connection, _CHUNK, 1)
    while not message.endswith(b"\n"):
        more = connection.recv(_CHUNK)
        if not more:
            raise ConnectionError("the client left before it had said what to run")
        message += more
    return Request(**json.loads(message)), descriptors[0]


def _refusal(request: Request, module: str, version: str) -> str | None:
    """Why a worker would not do what a process started anew would; None if it would."""
    if request.command[:3] != [sys.executable, "-m", module]:
        return "it runs another Python, or another program"
    for name in sorted({*os.environ, *request.environment} - _NOT_READ):
        same = os.environ.get(name) == request.environment.get(name)
        if name.startswith(_READ_AT_START) and not same:
            return f"it was started with another {name}"
    if sources_version() != version:
        return "the code has changed since it started"
    return None


def _become_worker(handler: int, output: int) -> None:
    # A group of its own: who stops the server's group would signal a worker twice, by itself and
    # through its handler, and the second time would cut short what it does at its end.
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != handler:
        os._exit(1)
    _default_signals()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)


def _attend(connection: socket.socket, worker: int) -> int:
    """Wait for a worker, or end it when its client is gone; its exit code."""
    ended = os.pidfd_open(worker)
    # A client says nothing more: what can be read is the end of the connection.
    ready, _, _ = select.select([ended, connection.fileno()], [], [])
    if ended not in ready:
        os.kill(worker, signal.SIGTERM)
        if not select.select([ended], [], [], GRACE_SECONDS)[0]:
            os.killpg(worker, signal.SIGKILL)
    _, status = os.waitpid(worker, 0)
    return os.waitstatus_to_exitcode(status)


def _answer(connection: socket.socket, answer: dict[str, Any]) -> None:
    with suppress(OSError):
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _reap(handlers: set[int]) -> None:
    for handler in tuple(handlers):
        if os.waitpid(handler, os.WNOHANG)[0]:
            handlers.discard(handler)


def _stop(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    raise _StoppedError


def _default_signals(stopping: signal.Handlers | None = None) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, stopping or signal.SIG_DFL)
    signal.signal(signal.SIGINT, stopping or signal.default_int_handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals wait: none may meet a fork that still has its parent's handlers."""
    waiting = {*_STOPPING, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, waiting)
