"""The user's own raw files are told from those of the program, whatever form their paths have."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.care.forgetting.raw_places import RawPlaces
from tests.pipelines.nights.workspaces import Made


@pytest.mark.parametrize(
    ("path", "file", "own"),
    [
        ("{night}/imp.parquet", "2026-11-10/imp.parquet", True),
        ("{night}/imp.parquet", "airflow/logs/attempt=1.log", False),
        ("{night}/imp.parquet", "airflow/imp.parquet", False),
        ("raw/{night:%Y%m%d}.parquet", "raw/20261110.parquet", True),
        ("raw/{night:%Y%m%d}.parquet", "raw/copy.parquet", False),
        ("raw/{night:%Y/%m/%d}/x", "raw/2026/11/10/x/part-0.jsonl", True),
        ("raw/dt={night}", "raw/dt=2026-11-10/part-0.jsonl", True),
        ("raw/dt={night}", "raw/dt=2026-11-10.copy/part-0.jsonl", False),
        ("raw/{night}/*.jsonl", "raw/2026-11-10/a.jsonl", True),
        ("raw/{night}/*.jsonl", "raw/2026-11-10/deep/a.jsonl", False),
        ("raw/**/a.jsonl", "raw/2026-11-10/deep/a.jsonl", True),
        ("raw/**/a.jsonl", "raw/a.jsonl", True),
        ("raw/all.jsonl", "raw/all.jsonl", True),
        ("raw/all", "raw/all_else.log", False),
        ("log/../raw/all", "raw/all/a", True),
    ],
)
def test_a_file_is_the_users_own_by_the_whole_path(
    tmp_path: Path, path: str, file: str, own: bool
) -> None:
    tables = {t: {"path": f"/nowhere/{t}"} for t in ("feedback", "items")}
    inputs = {**tables, "impressions": {"path": f"{tmp_path}/{path}"}}
    settings = Made(tmp_path).context("2026-11-10", inputs=inputs).settings
    assert RawPlaces(settings).hold(tmp_path / file) is own


def test_files_of_another_machine_are_in_no_workspace(tmp_path: Path) -> None:
    inputs = {t: {"path": f"s3://bucket/{t}"} for t in ("impressions", "feedback", "items")}
    settings = Made(tmp_path).context("2026-11-10", inputs=inputs).settings
    assert not RawPlaces(settings).hold(Path("s3:/bucket/items"))
