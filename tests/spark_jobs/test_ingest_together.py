"""Nights that are ingested in one pass hold what they hold night by night."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spark_jobs import ingest
from spark_jobs.contract.errors import InputError
from spark_jobs.ingestion.ingest_job import IngestJob, Previous
from spark_jobs.reading.table_files import TableInput
from tests.spark_jobs.test_conservation import content, lines_of, rows_of_lines

pytestmark = pytest.mark.spark
NIGHTS = ("2026-11-05", "2026-11-08", "2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12")
# Nights that a night looks back to, itself left out.
REACH = 2


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MRLM_USER_KEY", "a key of the tests of users")


def jobs(
    logs: Any, out: Path, nights: Iterable[str], all_nights: tuple[str, ...] = NIGHTS
) -> list[IngestJob]:
    """Jobs that write to ``out``; each looks back to the ``REACH`` of ``all_nights`` before it."""
    found = []
    for night in nights:
        i = all_nights.index(night)
        before = all_nights[max(i - REACH, 0) : i]
        job = logs.job(night, late_nights=1, out=str(out / night))
        found.append(replace(job, previous=tuple(Previous(n, str(out / n)) for n in before)))
    return found


def night_by_night(spark: Any, wanted: list[IngestJob]) -> dict[str, dict[str, Any]]:
    counts = {}
    fields: tuple[str, ...] = ()
    for job in wanted:
        counts[job.night] = ingest.run(spark, replace(job, known_item_fields=fields))
        fields = tuple(counts[job.night]["item_fields"])
    return counts


@pytest.mark.parametrize("many", [3, pytest.param(6, marks=pytest.mark.long)])
def test_mangled_lines_of_many_nights(
    spark, logs, impression, event, items, tmp_path: Path, many: int
):
    nights = NIGHTS[:many]
    rng = random.Random(5)
    for night in nights:
        logs.write(night, **lines_of(150, rng, impression, event, items))
    alone = night_by_night(spark, jobs(logs, tmp_path / "alone", nights))
    together = ingest.run_together(spark, jobs(logs, tmp_path / "together", nights))
    assert together == alone
    for night in nights:
        assert content(tmp_path / "together" / night) == content(tmp_path / "alone" / night), night
        found, wanted = (
            rows_of_lines(tmp_path / kind / night / "quarantine") for kind in ("together", "alone")
        )
        assert found == wanted
        assert (tmp_path / "together" / night / "quarantine").stat().st_mode & 0o777 == 0o700
    # The cases that make nights differ from one another are among these lines.
    later = [alone[n] for n in nights[1:]]
    assert all(c["feedback"]["duplicate"] and c["impressions"]["duplicate"] for c in later)
    assert any(c["impressions"]["late"] for c in later)
    assert all(c["events"]["click"]["left_out"] for c in later)

    # The newer half alone, after the older one.
    newer = nights[many // 2 :]
    older = {n: str(tmp_path / "alone" / n) for n in nights if n not in newer}
    known = tuple(alone[max(older)]["item_fields"])
    second = [
        replace(
            job,
            known_item_fields=known,
            previous=tuple(replace(p, folder=older.get(p.night, p.folder)) for p in job.previous),
        )
        for job in jobs(logs, tmp_path / "second", newer)
    ]
    assert ingest.run_together(spark, second) == {n: alone[n] for n in newer}
    for night in newer:
        assert content(tmp_path / "second" / night) == content(tmp_path / "alone" / night)


def test_a_key_counts_again_when_its_night_is_out_of_reach(
    spark, logs, impression, items, tmp_path: Path
):
    nights = NIGHTS[1:]
    for night in nights:
        # Comes on the first, the third and the last: the third repeats the first, and the last
        # looks back to the fourth only.
        rows = [impression(f"own-{night}", ts=f"{night}T10:00:00Z")]
        if night in (nights[0], nights[2], nights[4]):
            rows.append(impression("again", ts="2026-11-08T10:00:00Z"))
        logs.write(night, impressions=rows, items=items("a", "b") if night == nights[0] else [])
    wanted = [replace(j, late_nights=9) for j in jobs(logs, tmp_path / "alone", nights, nights)]
    # One night more than the reach lies between the third and the last one's.
    short = replace(wanted[4], previous=wanted[4].previous[1:])
    wanted[4] = short
    alone = night_by_night(spark, wanted)
    assert [alone[n]["impressions"]["duplicate"] for n in nights] == [0, 0, 1, 0, 0]
    moved = [
        replace(
            job,
            out=str(tmp_path / "together" / job.night),
            previous=tuple(
                replace(p, folder=str(tmp_path / "together" / p.night)) for p in job.previous
            ),
        )
        for job in wanted
    ]
    assert ingest.run_together(spark, moved) == alone


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_nights_with_files_of_other_columns(spark, tmp_path: Path, format: str):
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    def write(folder: Path, rows: list[dict[str, Any]]) -> TableInput:
        folder.mkdir(parents=True)
        table = pa.Table.from_pylist(rows)
        if format == "csv":
            pc.write_csv(table, folder / "part.csv")
        else:
            pq.write_table(table, folder / "part.parquet")
        return TableInput((str(folder),), format)  # type: ignore[arg-type]

    listed = '["a", "b"]' if format == "csv" else ["a", "b"]
    wanted = []
    for i, night in enumerate(NIGHTS[1:4]):
        shown = {
            "request_id": f"r{i}",
            "ts": f"{night}T10:00:00Z",
            "user_id": "u",
            "position": 1,
            "item_id": "a",
            "propensity": 0.5,
            "candidates": listed,
        }
        # The second night has another column and another type than the others.
        if i == 1:
            shown |= {"scene": "cart", "position": "1"}
        own = {"event_id": f"e{i}", "request_id": f"r{i}", "item_id": "a", "event": "click"}
        fed = {**own, "ts": f"{night}T11:00:00Z", "value": 1.0}
        catalog = [{"item_id": n, "text": f"item {n}"} for n in "ab"]
        folder = tmp_path / night
        wanted.append(
            IngestJob(
                night=night,
                tables={
                    "impressions": write(folder / "impressions", [shown]),
                    "feedback": write(folder / "feedback", [fed]),
                    "items": write(folder / "items", catalog),
                },
                out=str(tmp_path / "out" / night),
                windows={"click": 0},
            )
        )
    counts = ingest.run_together(spark, wanted)
    assert [counts[n]["impressions"]["clean"] for n in NIGHTS[1:4]] == [1, 1, 1]
    assert [counts[n]["events"]["click"]["attributed"] for n in NIGHTS[1:4]] == [1, 1, 1]
    scenes = [
        pq.read_table(tmp_path / "out" / n / "impressions")["scene"][0].as_py() for n in NIGHTS[1:4]
    ]
    assert scenes == ["default", "cart", "default"]


def test_one_file_of_several_nights_and_a_night_without_rows(
    spark, logs, impression, items, tmp_path: Path
):
    nights = NIGHTS[1:3]
    for night in nights:
        logs.write(
            night, impressions=[impression(night, ts=f"{night}T10:00:00Z")], items=items("a", "b")
        )
    whole = [
        replace(job, tables=job.tables | {"items": TableInput((str(tmp_path / "items"),))})
        for job in jobs(logs, tmp_path / "out", nights, nights)
    ]
    counts = ingest.run_together(spark, whole)
    assert [counts[n]["items"]["raw"] for n in nights] == [4, 4]
    assert [counts[n]["catalog"] for n in nights] == [2, 2]

    logs.write(nights[1], items=items("a"))
    with pytest.raises(InputError, match=r"impressions of night 2026-11-09 .*no rows at all"):
        ingest.run_together(spark, jobs(logs, tmp_path / "out", nights, nights))


def test_nights_of_other_settings_do_not_go_together(spark, logs, tmp_path: Path):
    first, second = jobs(logs, tmp_path, NIGHTS[:2])
    with pytest.raises(ValueError, match="different settings"):
        ingest.run_together(spark, [first, replace(second, late_nights=7)])
