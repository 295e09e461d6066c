"""The map from pseudonyms to user ids: of clean impressions, once a user, closed to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mrlm.privacy.person import pseudonym_of
from spark_jobs import ingest
from spark_jobs.ingestion import written

pytestmark = pytest.mark.spark
NIGHTS = ("2026-11-10", "2026-11-11")
KEY = b"a key for the tests"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRLM_USER_KEY", KEY.decode())


def write(logs: Any, impression: Any, items: Any) -> None:
    for night, users in zip(NIGHTS, (("ann", "ann", "böb"), ("böb", "cy")), strict=True):
        ts = f"{night}T10:00:00Z"
        shown = [impression(f"{night}-{i}", user_id=u, ts=ts) for i, u in enumerate(users)]
        # One who has nothing but a row in quarantine is in no list.
        shown.append(impression(f"{night}-q", user_id="eve", ts=ts, propensity=7))
        logs.write(night, impressions=shown, items=items("a", "b"))


def known(folder: Path) -> list[tuple[str, str]]:
    table = pq.read_table(folder / "user_ids" / "rows", partitioning=None)
    return sorted((r["user_id"], r["user"]) for r in table.to_pylist())


def wanted(*users: str) -> list[tuple[str, str]]:
    return sorted((u, pseudonym_of(KEY, u)) for u in users)


def test_each_night_keeps_its_own_and_closes_them(
    spark: Any, logs: Any, impression: Any, items: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several parts, as of a night with millions of users.
    monkeypatch.setattr(written, "_PLACES", 1)
    write(logs, impression, items)
    jobs = [
        logs.job(NIGHTS[0], keep_user_ids=True),
        logs.job(NIGHTS[1], NIGHTS[:1], keep_user_ids=True),
    ]
    ingest.run_together(spark, jobs)
    first, second = (Path(job.out) for job in jobs)
    assert known(first) == wanted("ann", "böb")
    assert known(second) == wanted("böb", "cy")
    for path in [first / "user_ids", *(first / "user_ids").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_night_that_was_not_asked_keeps_none(
    spark: Any, logs: Any, impression: Any, items: Any
) -> None:
    write(logs, impression, items)
    job = logs.job(NIGHTS[0])
    ingest.run(spark, job)
    assert not Path(job.out, "user_ids").exists()
