"""Progress of long work: a bar at a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import atexit
import sys
import time
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from pipelines.contract.context import Progress
from pipelines.contract.log import logger

if TYPE_CHECKING:
    from rich.progress import TaskID

_SECONDS_BETWEEN_LINES = 10.0


def terminal_progress() -> Progress:
    """A bar where standard error is a terminal, and lines in the log elsewhere."""
    return _bars() if sys.stderr.isatty() else _lines()


def _lines() -> Progress:
    last: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - last.get(what, now - 2 * _SECONDS_BETWEEN_LINES) > (
            _SECONDS_BETWEEN_LINES
        ):
            last[what] = now
            logger.info("%s: %d of %d", what, done, total)

    return show


@cache
def _bars() -> Progress:
    """One for the process, whose threads may show different work at the same time."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn

    # The spinner shows that a first step, which may take a minute, is at work.
    columns = (SpinnerColumn(), *Bars.get_default_columns())
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, TaskID] = {}
    one = Lock()
    # Work that fails shows its last bar until then.
    atexit.register(bars.stop)

    def show(what: str, done: int, total: int) -> None:
        with one:
            if what not in tasks:
                bars.start()
                tasks[what] = bars.add_task(escape(what), total=total)
            bars.update(tasks[what], completed=done, total=total)
            if done >= total:
                bars.remove_task(tasks.pop(what))
            if not tasks:
                bars.stop()

    return show
