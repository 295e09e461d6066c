"""Quarantined rows of every table can be shown, those of the history too."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.care.quarantine import shown_rows
from tests.pipelines.nights.workspaces import Made

ROW = {"who": "person-7", "item_id": "a", "ts": "never", "event": "VIEW", "note": "for person-7"}


def test_rows_of_the_history_are_shown_without_their_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRLM_USER_KEY", "a key of the tests")
    inputs = {t: {"path": "x"} for t in ("impressions", "feedback", "items", "history")}
    settings = Made(tmp_path).context("2026-11-10", inputs=inputs).settings
    history = settings.inputs.table("history")
    named = history.model_copy(update={"columns": {"user_id": "who"}})
    inputs_of = settings.inputs.model_copy(update={"history": named})
    settings = settings.model_copy(update={"inputs": inputs_of})
    table = {"table": "history", "reason": "wrong_type", "file": "f", "line": 3}
    folder = tmp_path / "quarantine"
    (folder / "rows").mkdir(parents=True)
    pq.write_table(
        pa.Table.from_pylist([{**table, "raw": json.dumps(ROW)}]), folder / "rows/part-0.parquet"
    )
    (line,) = shown_rows(folder, settings, 5)
    assert "wrong_type  f:3" in line
    assert '"event": "VIEW"' in line
    assert "pseudonym:" in line
    assert "person-7" not in line
