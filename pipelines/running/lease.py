"""One run a night: the lease that a manual and a scheduled run of the same night contend for.

A run is several processes (one a stage), so the lease names its owner and is renewed while a stage
of that owner works. It ends when the night closes, when the owner's process is gone, or when nobody
has renewed it for ``STALE_SECONDS``; a file that is none, or is of a time further ahead than that,
holds nothing.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from pipelines.contract.log import logger
from pipelines.contract.workspace import Workspace, write_atomically
from pipelines.failures.errors import BusyError

STALE_SECONDS = 600.0
_RENEW_SECONDS = 10.0


@dataclass(frozen=True)
class Holder:
    """Who holds a night.

    Attributes:
        owner: the run: an Airflow run id, or the process of a command.
        host: where it runs.
        pid: process whose end frees the lease at once, or 0 where the owner is many processes.
    """

    owner: str
    host: str
    pid: int

    def same_run(self, other: Holder) -> bool:
        """Whether both are one run; a run of several processes may be on several hosts."""
        if self.pid == 0 and other.pid == 0:
            return self.owner == other.owner
        return self == other


# Blocks of this process that hold a night or wait for it, by the path of its lease and who asks: a
# thread may go on with a night when the block that started it has ended.
_blocks: Counter[tuple[Path, Holder]] = Counter()
_counting = threading.Lock()


def holder_of_command() -> Holder:
    """A holder that lives as long as this process."""
    return Holder(
        f"command {os.getpid()} on {socket.gethostname()}", socket.gethostname(), os.getpid()
    )


def holder_of_run(owner: str) -> Holder:
    """A holder that is a run of several processes."""
    return Holder(owner, socket.gethostname(), 0)


@contextmanager
def night_lease(
    workspace: Workspace, night: str, holder: Holder, wait_seconds: float, keep: bool
) -> Iterator[None]:
    """Hold the night while the block runs; of blocks of one process the last one lets go.

    Args:
        workspace: where the lease lies.
        night: the night.
        holder: who asks.
        wait_seconds: how long to wait for another holder.
        keep: leave the lease to the next stage of the same run; ``release`` ends it.

    Raises:
        BusyError: another holder still has it; names the holder.
    """
    path = workspace.locks / f"night-{night}.json"
    with _counting:
        _blocks[path, holder] += 1
    try:
        _acquire(path, holder, wait_seconds, night)
        done = threading.Event()
        renewal = threading.Thread(target=_renew, args=(path, done), daemon=True)
        renewal.start()
        try:
            yield
        finally:
            done.set()
            renewal.join()
    finally:
        with _counting:
            _blocks[path, holder] -= 1
            if not keep and not _blocks[path, holder]:
                release(workspace, night, holder)


def release(workspace: Workspace, night: str, holder: Holder) -> None:
    """End the holder's lease of a night; nothing happens if somebody else has it."""
    path = workspace.locks / f"night-{night}.json"
    with FileLock(f"{path}.lock"):
        current = _current(path)
        if current is not None and holder.same_run(current):
            path.unlink()


def _acquire(path: Path, holder: Holder, wait_seconds: float, night: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    told = False
    while True:
        with FileLock(f"{path}.lock"):
            current = _current(path)
            if current is None or holder.same_run(current) or _ended(path, current):
                write_atomically(path, json.dumps(asdict(holder)))
                return
        if time.monotonic() >= deadline:
            raise BusyError(
                f"night {night} is held by {current.owner}: wait for it to end, or stop it; "
                f"a lease that nobody renews ends after {STALE_SECONDS:.0f} s"
            )
        if not told:
            logger.info("night %s is held by %s: waiting", night, current.owner)
            told = True
        time.sleep(0.5)


def _current(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError) as error:
        # Nobody else can have written it, and who is still at work holds a stage's own lock.
        logger.warning("the lease %s cannot be read (%s): it counts as ended", path, error)
        return None


def _ended(path: Path, holder: Holder) -> bool:
    if holder.pid and holder.host == socket.gethostname():
        try:
            os.kill(holder.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
    # From further ahead than a lease lasts, no clock that is set would ever catch up with it.
    return abs(time.time() - path.stat().st_mtime) > STALE_SECONDS


def _renew(path: Path, done: threading.Event) -> None:
    while not done.wait(_RENEW_SECONDS):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("the lease %s cannot be renewed: %s", path, error)
