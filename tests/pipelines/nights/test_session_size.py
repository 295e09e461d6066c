"""The Spark session is as large as all raw tables of a night ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_jobs.runtime import session
from tests.pipelines.nights.workspaces import Made


def test_a_night_is_as_large_as_all_its_tables(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"impressions": 10, "feedback": 200, "items": 3_000, "history": 40_000}
    for table, size in sizes.items():
        (tmp_path / table).write_bytes(b"x" * size)
    asked = []
    monkeypatch.setattr(session, "spark_session", lambda **told: asked.append(told["size"]))
    inputs = {table: {"path": str(tmp_path / table)} for table in sizes}
    made.context("2026-11-10", inputs=inputs).spark()
    assert asked == [sum(sizes.values())]
    del inputs["history"]
    made.context("2026-11-10", inputs=inputs).spark()
    assert asked[1] == asked[0] - sizes["history"]
