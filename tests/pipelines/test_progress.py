"""What a person sees of long work."""

from __future__ import annotations

import io
import logging
import re
import sys

import pytest

from pipelines.contract import log
from pipelines.running import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_there_are_lines(caplog: pytest.LogCaptureFixture) -> None:
    log.configure()
    logger = logging.getLogger("mrlm")
    logger.addHandler(caplog.handler)
    try:
        show = progress.terminal_progress()
        for done in range(4):
            show("nights read", done, 3)
    finally:
        logger.removeHandler(caplog.handler)
    said = [r.getMessage() for r in caplog.records]
    assert said == ["nights read: 0 of 3", "nights read: 3 of 3"]


def test_works_at_the_same_time_share_the_bars_and_lines_stay_readable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    progress._bars.cache_clear()
    log.configure()
    first, second = progress.terminal_progress(), progress.terminal_progress()
    assert first is second
    first("nights read", 0, 2)
    second("items encoded", 0, 5)
    log.logger.info("ingest started")
    second("items encoded", 5, 5)
    first("nights read", 2, 2)
    progress._bars.cache_clear()
    log.logger.info("done")
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "nights read" in printed
    assert "items encoded" in printed
    # Each is a line of its own, above the bars and after them.
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", printed)]
    assert sum(bool(re.fullmatch(r"\S+Z INFO ingest started", line)) for line in lines) == 1
    assert re.fullmatch(r"\S+Z INFO done", lines[-2])
