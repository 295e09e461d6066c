"""The demonstration goes on once its history is read, and its reader may go on beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace
from pipelines.failures.errors import DataError
from pipelines.local import demonstration
from pipelines.settings.load import load_settings
from tests.deployment import NIGHTS, SETTINGS

GOES_ON, ENDS = "import time; time.sleep(60)", "pass"


def reading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, *, closed: bool, unchanged: bool
) -> bool:
    """Whether the reader, a process that runs ``code``, still ran when the block began."""
    process: list[subprocess.Popen[bytes]] = []

    def reader(*_: str) -> subprocess.Popen[bytes]:
        process.append(subprocess.Popen([sys.executable, "-c", code]))
        return process[0]

    monkeypatch.setattr(demonstration, "_mrlm", reader)
    monkeypatch.setattr(demonstration, "history_closed", lambda _: closed)
    monkeypatch.setattr(demonstration, "history_unchanged", lambda _: unchanged)
    (tmp_path / "mrlm.toml").write_text(SETTINGS)
    context = NightContext(NIGHTS[0], load_settings(tmp_path / "mrlm.toml"), Workspace(tmp_path))
    with demonstration._reading([context], NIGHTS[1], tmp_path / "mrlm.toml"):
        running = process[0].poll() is None
        process[0].terminate()
    return running


def test_a_reader_goes_on_beside_what_follows_the_history(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert reading(monkeypatch, tmp_path, GOES_ON, closed=True, unchanged=True)


def test_a_reader_that_ended_is_not_waited_for_where_a_closing_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not reading(monkeypatch, tmp_path, ENDS, closed=False, unchanged=True)


@pytest.mark.parametrize("closed", [True, False])
def test_a_history_that_could_not_be_read_ends_the_demonstration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed: bool
) -> None:
    with pytest.raises(DataError, match=f"{NIGHTS[0]} to {NIGHTS[0]} could not be read"):
        reading(monkeypatch, tmp_path, ENDS, closed=closed, unchanged=False)
