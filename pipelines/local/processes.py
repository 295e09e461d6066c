"""Services that this program starts, and must find again after it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from pipelines.contract.workspace import write_atomically
from pipelines.failures.errors import DataError

_GRACE_SECONDS = 15.0


@dataclass(frozen=True)
class _Service:
    """A process group of ours; the start time tells it from a later process of the same number.

    The folder, by its device and inode, tells it from what the original of a copied record started.
    """

    pid: int
    started: float
    needed: bool = True
    folder: str = ""

    @property
    def process(self) -> psutil.Process | None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            if same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


@dataclass(frozen=True)
class Processes:
    """The services recorded in a file.

    Attributes:
        record: the file.
    """

    record: Path

    def start(
        self, command: list[str], environment: dict[str, str], log: Path, needed: bool = True
    ) -> None:
        """Start a service in a process group of its own and record it.

        Args:
            command: what to run.
            environment: its environment, whole.
            log: where its output is appended; its folder is the working folder.
            needed: whether nothing goes on without it.
        """
        with log.open("ab") as stream:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = psutil.Process(process.pid).create_time()
        services = [*self._read(), _Service(process.pid, started, needed, self._folder())]
        write_atomically(self.record, json.dumps([asdict(s) for s in services]))

    def alive(self) -> bool:
        """Whether every recorded service that is needed still runs."""
        return all(s.process is not None for s in self._read() if s.needed)

    def listen_on(self, port: int) -> bool:
        """Whether a recorded service, or what it started, listens on a port of this machine.

        Ports are chosen before they are bound: somebody else may have been faster, and would be
        told what is meant for the service.
        """
        services = self._read()
        for process in _sessions({s.pid for s in services}, _first_start(services)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                for connection in process.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                        return True
        return False

    def stop(self) -> None:
        """End every recorded service with everything in its session, and forget them."""
        services = self._read()
        family = _sessions({s.pid for s in services}, _first_start(services))
        for service in services:
            if service.process is not None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(service.pid, signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=_GRACE_SECONDS)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, left = psutil.wait_procs(left, timeout=_GRACE_SECONDS / 3)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=_GRACE_SECONDS / 3)
        self.record.unlink(missing_ok=True)

    def _read(self) -> list[_Service]:
        try:
            services = [_Service(**s) for s in json.loads(self.record.read_text())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{self.record} cannot be read ({error}): end what still runs of an earlier "
                "'make run' or 'make ui', and remove the file"
            ) from error
        return [s for s in services if s.folder == self._folder()]

    def _folder(self) -> str:
        about = self.record.parent.stat()
        return f"{about.st_dev}:{about.st_ino}"


def _first_start(services: list[_Service]) -> float:
    return min((s.started for s in services), default=0.0)


def _sessions(leaders: set[int], since: float) -> list[psutil.Process]:
    """Processes of these sessions: also those whose parents, or whose leader, are gone."""
    found = []
    for process in psutil.process_iter():
        with suppress(
            psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError
        ):
            if os.getsid(process.pid) in leaders and process.create_time() >= since - 1.0:
                found.append(process)
    return found
