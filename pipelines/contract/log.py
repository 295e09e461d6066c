"""Log lines that say which run and which stage they belong to."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

from mrlm.report.visible import visible

logger = logging.getLogger("mrlm")


# A line of a log tells what happened; a longer value is in the data.
_LONGEST = 4000


class _Lines(logging.Formatter):
    """Nothing that a terminal obeys, and no line of a message that passes for an event."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).split("\n")
        return "\n  ".join(visible(line, _LONGEST) for line in lines)


class _StandardError(logging.StreamHandler[TextIO]):
    """Standard error as it is at each line: while a bar is shown, lines are printed above it."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """The logging module sets what it was made with."""


class _Bound(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        extra = self.extra or {}
        return f"[{extra['run_key']}] [{extra['stage']}] {msg}", kwargs


def bound(run_key: str, stage: str) -> logging.LoggerAdapter[logging.Logger]:
    """A logger whose every line carries run key and stage."""
    return _Bound(logger, {"run_key": run_key, "stage": stage})


def configure() -> None:
    """Send the log to standard error, one line an event, times in UTC."""
    import time

    handler = _StandardError()
    formatter = _Lines("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
