"""The server's log: whole lines, in the partition of their night, under the settings' names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest

from pipelines.commands import server
from pipelines.serving.impression_log import Flush, ImpressionLog
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.input_tables import InputTable
from pipelines.settings.served_path import unread_as_impressions

AT = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC)
_SERVER = """
import sys
from datetime import UTC, datetime
from pipelines.serving.impression_log import ImpressionLog
from pipelines.settings.ingestion import Ingestion
log = ImpressionLog(sys.argv[1], {}, Ingestion(), "never")
n = 0
while True:
    rows = [{"request_id": str(n), "position": p, "item_id": "x" * 500} for p in (1, 2, 3)]
    log.append(rows, datetime(2026, 11, 20, tzinfo=UTC))
    print(n, flush=True)
    n += 1
"""


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for p in sorted(folder.iterdir()) for line in p.open()]


@pytest.mark.parametrize("flush", ["answer", "second", "never"])
def test_rows_lie_in_their_night_under_the_names_of_the_file(tmp_path: Path, flush: Flush) -> None:
    names = {"request_id": "rid", "user_id": "who.id", "policy_id": ["=r", "policy"]}
    log = ImpressionLog(str(tmp_path / "dt={night:%Y%m%d}"), names, Ingestion(), flush)
    row = {"request_id": "r", "user_id": "änn", "policy_id": "p", "candidates": ["a", "b"]}
    log.append([row, row], AT)
    log.append([row], LATER)
    assert len(lines(tmp_path / "dt=20261120")) == 2, "written before it is closed"
    log.close()
    assert lines(tmp_path / "dt=20261121") == [
        {"rid": "r", "user_id": "änn", "policy_id": "p", "candidates": ["a", "b"]}
    ]


def test_a_column_of_any_name_is_written_as_it_is_read(tmp_path: Path) -> None:
    names = {"request_id": "req-id", "user_id": "`user.id`", "scene": "=home", "position": "n + 1"}
    log = ImpressionLog(str(tmp_path / "{night}"), names, Ingestion(), "never")
    log.append([{"request_id": "r", "user_id": "u", "scene": "feed", "position": 1}], AT)
    log.close()
    (row,) = lines(tmp_path / "2026-11-20")
    assert row == {"req-id": "r", "user.id": "u", "scene": "feed", "position": 1}


def test_settings_that_do_not_read_what_is_served_are_named() -> None:
    path = "log/{night}"
    names: dict[str, str | list[str]] = {"user_id": "user-id", "session_id": "who.session"}
    assert unread_as_impressions(InputTable(path=path, columns=names)) == []
    odd: dict[str, str | list[str]] = {"scene": "=home", "position": "n + 1", "user_id": ["a", "b"]}
    found = unread_as_impressions(
        InputTable(path=path, columns=odd, format="csv", rows="slots", where={"kind": "show"})
    )
    assert found == [
        'inputs.impressions.format = "csv"',
        'inputs.impressions.rows = "slots"',
        'inputs.impressions.where, which asks for "kind"',
        'inputs.impressions.columns.user_id = ["a", "b"]',
        'inputs.impressions.columns.scene = "=home"',
        'inputs.impressions.columns.position = "n + 1"',
    ]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_who_starts_a_server_is_warned(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(server.logger, "warning", lambda text, *args: told.append(text % args))
    table = InputTable.model_validate({"path": "log/{night}", "format": form})
    server.say_what_is_unread(table)
    assert [text.split("they have ")[1].split(".")[:2] for text in told] == (
        [] if form == "json" else [["inputs", "impressions"]]
    )


def test_a_night_is_that_of_the_settings(tmp_path: Path) -> None:
    here = Ingestion(time_zone="Asia/Shanghai", night_starts="04:00")
    log = ImpressionLog(str(tmp_path / "{night}"), {}, here, "never")
    for hour in (19, 20):
        log.append([{"hour": hour}], datetime(2026, 11, 20, hour, tzinfo=UTC))
    log.close()
    found = {p.name: [r["hour"] for r in lines(p)] for p in tmp_path.iterdir()}
    assert found == {"2026-11-20": [19], "2026-11-21": [20]}


def test_kill_9_loses_no_answered_row_and_leaves_whole_lines(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SERVER, str(tmp_path / "{night}")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    answered = [int(server.stdout.readline()) for _ in range(200)]
    os.kill(server.pid, signal.SIGKILL)
    answered += [int(n) for n in server.stdout.read().split("\n")[:-1]]
    server.wait()
    found = lines(tmp_path / "2026-11-20")
    slots = {(r["request_id"], r["position"]) for r in found}
    assert len(slots) == len(found)
    assert slots >= {(str(n), p) for n in answered for p in (1, 2, 3)}


class HalfFull:
    """A file on a disk that takes half of one write, and cuts nothing where ``stuck``."""

    def __init__(self, file: IO[bytes], stuck: bool) -> None:
        self._file, self._stuck, self.name = file, stuck, file.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        return self._file.write(data[: len(data) // 2])

    def truncate(self, size: int) -> int:
        if self._stuck:
            raise OSError("no")
        return self._file.truncate(size)


@pytest.mark.parametrize("stuck", [False, True])
def test_what_the_disk_took_in_part_costs_no_other_answer(tmp_path: Path, stuck: bool) -> None:
    log = ImpressionLog(str(tmp_path / "{night}"), {}, Ingestion(), "never")
    log.append([{"a": 1}], AT)
    whole = log._file
    assert whole is not None
    log._file = HalfFull(whole, stuck)  # type: ignore[assignment]
    with pytest.raises(OSError, match="only a part"):
        log.append([{"a": 2}, {"a": 22}], AT)
    if not stuck:
        log._file = whole
    log.append([{"a": 3}], AT)
    log.close()
    files = [p.read_bytes().splitlines() for p in sorted((tmp_path / "2026-11-20").iterdir())]
    whole_lines = [b'{"a": 1}', b'{"a": 3}']
    if stuck:
        assert len(files) == 2, "nothing is written after a torn line"
        assert sorted(f[0] for f in files) == whole_lines
    else:
        assert files == [whole_lines]


def test_two_servers_never_share_a_file(tmp_path: Path) -> None:
    logs = [ImpressionLog(str(tmp_path / "{night}"), {}, Ingestion(), "never") for _ in range(2)]
    for log in logs:
        log.append([{"a": 1}], AT)
        log.close()
    assert len([*(tmp_path / "2026-11-20").iterdir()]) == 2
