"""What has arrived of a night that is not over is what the whole night has of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from pipelines.contract.manifest import Manifest
from pipelines.running.open_night import night_at, time_given
from pipelines.settings.ingestion import Ingestion
from tests.deployment import NIGHTS, RENAMED, SETTINGS, Deployment, renamed
from tests.latent_files import write_latent
from tests.pipelines.in_process import Done, mrlm

pytestmark = pytest.mark.spark
FIRST, OPEN = NIGHTS[:2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Two nights of a log with dirt, the first of them ingested."""
    folder = tmp_path_factory.mktemp("open")
    write_latent(folder / "raw", users=40, nights=2, slots_per_user_night=4)
    for table in RENAMED:
        for path in sorted((folder / "raw" / table).rglob("*.jsonl")):
            lines = [renamed(table, line) for line in path.read_text().splitlines()]
            path.write_text("".join(f"{line}\n" for line in lines))
    # So few rows are no night of a real log.
    (folder / "mrlm.toml").write_text(SETTINGS.replace("0.05\n", "0.05\nmin_rows = 1\n"))
    deployment = Deployment(folder, {})
    for stage in ("ingest", "validate"):
        assert command(deployment, "stage", stage, "--night", FIRST).code == 0
    return deployment


def command(made: Deployment, *arguments: str) -> Done:
    return mrlm(*arguments, "--settings", str(made.settings_path))


def rows(folder: Path, table: str, before: datetime | None = None) -> list[dict[str, Any]]:
    found = pq.read_table(folder / table)
    if before is not None:
        found = found.filter(pc.less(found["ts"], pa.scalar(before, found["ts"].type)))
    return sorted(found.to_pylist(), key=repr)


def test_an_open_night_has_the_rows_of_the_whole_one(made: Deployment) -> None:
    workspace = made.context(OPEN).workspace
    folder = workspace.open_nights / OPEN / "ingest"
    read = {}
    for hour in (9, 15):
        until = f"{OPEN}T{hour:02d}:00"
        done = command(made, "ingest", "--until", until)
        assert done.code == 0, done.err
        told = json.loads(done.out.splitlines()[-1])
        assert (told["night"], told["until"]) == (OPEN, f"{until}:00+00:00")
        found = Manifest.read(folder)
        assert found is not None
        assert {t: found.counts[t] for t in ("impressions", "feedback")} == {
            t: told[t] for t in ("impressions", "feedback")
        }
        read[hour] = {t: rows(folder, t) for t in ("impressions", "feedback", "items")}
    # No stage of a night takes it for a whole one.
    assert workspace.nights() == [FIRST]
    again = json.loads(command(made, "ingest", "--until", until).out.splitlines()[-1])
    assert again["unchanged"] is True

    assert command(made, "stage", "ingest", "--night", OPEN).code == 0
    whole = workspace.lake_stage(OPEN, "ingest")
    for hour, tables in read.items():
        at = datetime.fromisoformat(f"{OPEN}T{hour:02d}:00+00:00")
        for table in ("impressions", "feedback"):
            assert tables[table] == rows(whole, table, at), (hour, table)
        assert tables["items"] == rows(whole, "items")
    assert 0 < len(read[9]["impressions"]) < len(read[15]["impressions"])
    assert len(read[15]["impressions"]) < len(rows(whole, "impressions"))

    refused = command(made, "ingest", "--until", until)
    assert refused.code == 10
    assert f"night {OPEN} is ingested whole already" in refused.err
    # Whoever asks next finds the open form gone.
    assert not folder.exists()


def test_a_night_that_had_not_begun(made: Deployment) -> None:
    at = f"{NIGHTS[3]}T23:00"
    done = command(made, "ingest", "--night", NIGHTS[4], "--until", at)
    assert done.code == 10
    assert f"night {NIGHTS[4]} had not begun at {at}:00+00:00" in done.err
    done = command(made, "ingest", "--until", "noon")
    assert done.code == 10
    assert "--until 'noon' is no time: write 'now'" in done.err


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Shanghai"])
@pytest.mark.parametrize("starts", ["00:00", "02:30", "23:00"])
def test_the_night_of_a_time_is_sparks(spark: Any, zone: str, starts: str) -> None:
    """Around the ends of summer time, where days have 23 and 25 hours."""
    ingestion = Ingestion(time_zone=zone, night_starts=starts)
    rng = np.random.default_rng(5)
    days = [datetime(2018, 11, 4), datetime(2019, 2, 16), datetime(2026, 3, 29)]
    days.append(datetime(2026, 10, 25))
    hours = rng.uniform(-40, 40, 100)
    times = [d.replace(tzinfo=UTC) + timedelta(hours=h) for d in days for h in hours]
    frame = spark.createDataFrame([(t,) for t in times], "ts timestamp")
    clock = ingestion.clock()
    found = [r[0].isoformat() for r in frame.select(clock.night(F.col("ts"))).collect()]
    assert [night_at(t, ingestion) for t in times] == found


def test_a_time_without_an_offset_is_on_the_clock_of_nights() -> None:
    now = datetime(2026, 11, 10, 7, tzinfo=UTC)
    ingestion = Ingestion(time_zone="Asia/Shanghai")
    assert time_given("NOW", ingestion, now) == now
    assert time_given("2026-11-10T15:00", ingestion, now) == now
    assert time_given("2026-11-10T07:00Z", ingestion, now) == now
