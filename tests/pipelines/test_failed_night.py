"""A night that failed says why, where whoever ran its stages knows it."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.failures.errors import DataError
from pipelines.running import night as running
from pipelines.running.night import close_night, closing_of, run_night

NIGHT, KEY = "2026-11-20", "2026-11-20-abc"


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A night of which nothing is there, and whose ingestion finds nothing to read."""
    nothing = SimpleNamespace(manifest=lambda: None)

    def fail(stage: Any, _context: Any) -> None:
        if stage.name == "ingest":
            raise DataError(f"night {NIGHT}: impressions: no rows at all")

    monkeypatch.setattr(running, "execute", fail)
    monkeypatch.setattr(running, "is_unchanged", lambda _stage, _context: False)
    monkeypatch.setattr(running, "notify", lambda _event, _settings: None)
    monkeypatch.setattr(running, "output_of", lambda _name, _context: nothing)
    (tmp_path / KEY).mkdir()
    return SimpleNamespace(
        night=NIGHT,
        run_key=KEY,
        workspace=SimpleNamespace(runs=tmp_path),
        settings=SimpleNamespace(notify=None),
        lake=lambda _stage: nothing,
        run=lambda _stage: nothing,
        log=logging.getLogger,
    )


def test_a_night_that_this_process_ran_says_what_its_stage_said(context: Any) -> None:
    closing = run_night(context)
    assert closing.verdict == "failed"
    assert closing.reason == "stage ingest: impressions: no rows at all"
    assert closing_of(context) == closing


def test_whoever_closes_what_others_ran_is_sent_to_the_log(context: Any) -> None:
    assert close_night(context).reason == "stage ingest was not completed, see its log"
