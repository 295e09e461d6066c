"""The server's log of a person who is forgotten: their rows leave it, and nobody else's."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mrlm.privacy.person import Person, pseudonym_of, salted
from pipelines.care.forgetting import erasure, served_log
from pipelines.care.forgetting.erasure import Erasure, forget
from pipelines.care.forgetting.served_log import erase_served
from pipelines.care.forgetting.traces import REQUESTS
from pipelines.nights.forgotten_people import salt_of
from pipelines.serving.impression_log import ImpressionLog
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.model import Settings
from pipelines.settings.served_path import served_path
from tests.pipelines.nights.workspaces import Made

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
PERSON = Person("ann", pseudonym_of(b"k", "ann"), "salt", frozenset({salted("salt", "r9")}))


def settings_of(folder: Path) -> Settings:
    return Made(folder).context("2026-11-20").settings


def served(folder: Path, settings: Settings) -> ImpressionLog:
    columns = settings.inputs.impressions.columns
    log = ImpressionLog(served_path(settings, folder), columns, Ingestion(), "never")
    rows = [("r1", "ann"), ("r2", "anna"), ("r9", "x"), ("r3", "bob")]
    log.append([{"request_id": r, "user_id": u, "item_id": "ann"} for r, u in rows], AT)
    return log


def test_their_rows_leave_the_log_and_no_others(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    served(tmp_path, settings).close()
    (file,) = (tmp_path / "served" / "dt=2026-11-20").iterdir()
    torn = b'{"request_id": "r4", "item_id": "i", "who": "ann'
    file.write_bytes(file.read_bytes() + torn)
    left: list[str] = []
    assert erase_served(settings, tmp_path, PERSON, left.append) == (1, 3)
    column = settings.inputs.impressions.columns.get("user_id", "user_id")
    kept = [json.loads(line)[column] for line in file.read_text().splitlines()]
    assert kept == ["anna", "bob"]
    assert erase_served(settings, tmp_path, PERSON, left.append) == (0, 0)
    assert left == []
    assert [p.name for p in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("source", ["user.id", "=u", ["tenant", "user"]])
def test_rows_are_found_where_the_column_is_no_name(
    tmp_path: Path, source: str | list[str]
) -> None:
    """The server writes such a column under the name of the contract."""
    settings = settings_of(tmp_path)
    impressions = settings.inputs.impressions
    impressions.columns.update(user_id=source, request_id=source)
    served(tmp_path, settings).close()
    assert erase_served(settings, tmp_path, PERSON, pytest.fail) == (1, 2)


def test_requests_that_were_not_ingested_yet_are_listed_before_their_rows_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the list, feedback that comes later is known to be theirs."""
    made = Made(tmp_path)
    settings = settings_of(tmp_path)
    for night in ("2026-11-18", "2026-11-19"):
        ingest = made.workspace.lake_stage(night, "ingest")
        ingest.mkdir(parents=True)
        (ingest / "counts.json").write_text("{}")
        made.passed(night)
    served(tmp_path, settings).close()
    (log,) = (tmp_path / "served" / "dt=2026-11-20").iterdir()

    def forgotten() -> Erasure:
        return forget(
            *(settings, b"k", "ann"),
            actor="ada",
            at=AT.isoformat(),
            reason="asked to",
            wait=1.0,
            progress=lambda *_: None,
        )

    def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "erase_served", killed)
        with pytest.raises(KeyboardInterrupt):
            forgotten()
    assert forgotten().rows["served"] == 1
    assert b"ann" not in log.read_bytes().replace(b"anna", b"").replace(b'"item_id": "ann"', b"")
    lists = sorted(tmp_path.glob(f"lake/*/ingest/{REQUESTS}/*.parquet"))
    hashes = [r for path in lists for r in pq.read_table(path)["request"].to_pylist()]
    assert {p.parts[-4] for p in lists} == {"2026-11-19"}
    assert hashes == [salted(salt_of(made.workspace), "r1")]


def test_nobody_writes_a_file_from_its_reading_to_its_replacement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)
    served(tmp_path, settings).close()
    (file,) = (tmp_path / "served" / "dt=2026-11-20").iterdir()
    held = []

    def seen_by(whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            with file.open("rb") as other:
                try:
                    fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    held.append(False)
                except BlockingIOError:
                    held.append(True)
            return whole(*args)

        return call

    for step in ("_kept", "_replace"):
        monkeypatch.setattr(served_log, step, seen_by(getattr(served_log, step)))
    assert erase_served(settings, tmp_path, PERSON, pytest.fail) == (1, 2)
    assert held == [True, True]


def test_a_file_that_is_still_written_is_named_and_left(tmp_path: Path) -> None:
    """A copy in its place would lose what the server writes next."""
    settings = settings_of(tmp_path)
    log = served(tmp_path, settings)
    left: list[str] = []
    assert erase_served(settings, tmp_path, PERSON, left.append) == (0, 0)
    (told,) = left
    assert "still writes it" in told
    log.close()
    assert erase_served(settings, tmp_path, PERSON, lambda _: None) == (1, 2)
