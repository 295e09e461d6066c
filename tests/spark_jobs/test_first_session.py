"""The first session of an environment runs both jobs and does nothing the second time."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from spark_jobs import class_archive, first_session
from spark_jobs.java import java_home


@pytest.mark.spark
def test_both_jobs_do_their_whole_work(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(first_session._KEY, "key")
    first_session.run(spark, tmp_path)
    counts = json.loads((tmp_path / "log" / "counts.json").read_text())
    assert [counts[n]["decisions"] for n in first_session._NIGHTS] == [1, 1]
    assert [counts[n]["rewarded"]["click"] for n in first_session._NIGHTS] == [1, 1]


def test_where_an_archive_is_no_session_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    archive = class_archive.archive_of(java_home())
    assert archive is not None
    archive.touch()
    monkeypatch.setattr(first_session, "spark_session", None)
    first_session.main()
    assert archive.read_bytes() == b""
