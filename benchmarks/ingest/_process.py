"""A measured process: what it is told, and how it tells its time, processor time and memory.

The session is started before the clock is: whoever measures calls ``finish`` with the work alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from pipelines.contract.raw_files import raw_bytes

ROOT = Path(__file__).parents[2]
_INTERVAL = 0.2


@dataclass(frozen=True)
class Job:
    """One night to ingest.

    Attributes:
        night: arrival night, ISO date.
        tables: table to the folder of its files.
        form: of all files.
        out: folder to write; not there yet.
        key: of the user pseudonyms.
        late_nights: impressions that arrive more nights after their own are late.
        bot_requests: a user with more requests is a bot.
        windows: event to the nights that are waited for it; others are never late.
    """

    night: str
    tables: dict[str, str]
    form: Literal["parquet", "json"]
    out: str
    key: str = "key of a benchmark"
    late_nights: int = 2
    bot_requests: int = 500
    windows: dict[str, int] = field(default_factory=lambda: {"click": 0, "buy": 1})

    def bytes(self) -> int:
        """Of all files, as text."""
        return sum(raw_bytes(folder) for folder in self.tables.values())

    @classmethod
    def read(cls, path: Path) -> Job:
        """The inverse of ``write``."""
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))


@dataclass(frozen=True)
class Measured:
    """What a process says of its work.

    Attributes:
        seconds: wall time.
        cpu: processor seconds of the process and its children.
        gib: most resident memory of both together, GiB.
        result: what the work returned.
    """

    seconds: float
    cpu: float
    gib: float
    result: Any


def run(module: str, job: Path, *arguments: str) -> Measured:
    """Run ``python -m module job`` and read what ``finish`` printed there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", module, str(job), *arguments],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def finish(work: Callable[[], Any]) -> None:
    """Do the work and print what it cost, as the last line."""
    peak, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(_INTERVAL):
            peak[0] = max(peak[0], _resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    cpu, started = _cpu(), time.perf_counter()
    result = work()
    seconds, spent = time.perf_counter() - started, _cpu() - cpu
    ended.set()
    watcher.join()
    gib = max(peak[0], _resident()) / 2**30
    print(json.dumps(asdict(Measured(round(seconds, 2), round(spent, 2), round(gib, 2), result))))


def _family() -> list[psutil.Process]:
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def _cpu() -> float:
    """Processor seconds; of children that have ended too, once they were waited for."""
    times = [p.cpu_times() for p in _family()]
    return sum(t.user + t.system for t in times) + times[0].children_user + times[0].children_system


def _resident() -> float:
    """Bytes in memory of the family.

    Java starts a program by a child that has all of Java's memory until the program begins: to
    count that child would count Java twice. Its command is still its parent's, by which it is told.
    """
    total, commands = 0, {}
    for process in _family():
        try:
            command = commands[process.pid] = process.cmdline()
            if command != commands.get(process.ppid()):
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return float(total)
