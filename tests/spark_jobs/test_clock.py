"""What a night is, and how times are read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import functions as F

from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.errors import InputError

pytestmark = pytest.mark.spark


def read(spark: Any, clock: NightClock, texts: list[str]) -> list[datetime | None]:
    """The instants of texts, in UTC."""
    rows = spark.createDataFrame([(i, t) for i, t in enumerate(texts)], "i int, t string")
    found = rows.select("i", F.unix_micros(clock.instant(F.col("t"))).alias("at")).collect()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    micros = [row["at"] for row in sorted(found)]
    return [None if m is None else epoch + timedelta(microseconds=m) for m in micros]


def test_times_are_read_in_every_form(spark):
    at = datetime(2026, 11, 10, 10, tzinfo=UTC)
    seconds = int(at.timestamp())
    forms = {
        "2026-11-10T10:00:00Z": 0,
        "2026-11-10 10:00:00.000001Z": 1,
        "2026-11-10T18:00:00+08:00": 0,
        "2026-11-10T18:00:00+0800": 0,
        "2026-11-10T05:00-05:00": 0,
        "2026-11-10T10:00:00 UTC": 0,
        # No offset: local time in Shanghai.
        "2026-11-10T18:00:00": 0,
        "2026-11-10 18:00:00.25": 250_000,
        "2026-11-10": -18 * 3_600_000_000,
        str(seconds): 0,
        f"{seconds}.5": 500_000,
        f"{seconds}123": 123_000,
        f"{seconds}123456": 123_456,
        f"{seconds / 1e9}E9": 0,
        f"{seconds / 1e9}E+12": 0,
    }
    clock = NightClock("Asia/Shanghai")
    wanted = [at + timedelta(microseconds=m) for m in forms.values()]
    assert read(spark, clock, list(forms)) == wanted


def test_what_is_no_time_is_none(spark):
    texts = ["yesterday", "12:30", "2026", "20261110", "20261110100000", "-1", "1e400", "NaN", "1"]
    texts += ["2026-13-01", "2026-11-10T25:00:00Z", "2026-11-10T10:00:00+25:00", "9" * 30]
    assert read(spark, NightClock(), texts) == [None] * len(texts)
    # With a unit, a number of another magnitude is no time either.
    assert read(spark, NightClock(epochs="seconds"), ["1762768800", "1762768800000"]) == [
        datetime(2025, 11, 10, 10, tzinfo=UTC),
        None,
    ]


def test_local_times_around_summer_time(spark):
    """The first of two, and one that never was counts on from before the gap."""
    clock = NightClock("Europe/Berlin")
    texts = ["2026-03-29 01:59", "2026-03-29 02:30", "2026-03-29 03:00", "2026-10-25 02:30"]
    zone = ZoneInfo("Europe/Berlin")
    wanted = [
        datetime.fromisoformat(t).replace(tzinfo=zone).astimezone(UTC).isoformat() for t in texts
    ]
    assert [t and t.isoformat() for t in read(spark, clock, texts)] == wanted


def _begun(instants: list[datetime], zone: str, cut: str) -> list[date]:
    """The newest night whose start the clocks have shown, minute by minute."""
    hours, minutes = map(int, cut.split(":"))
    shown = [
        (
            t.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            - timedelta(hours=hours, minutes=minutes)
        )
        for t in instants
    ]
    nights: list[date] = []
    for local in shown:
        nights.append(max([local.date(), *nights[-1:]]))
    return nights


@pytest.mark.parametrize(
    ("zone", "cut", "around"),
    [
        ("UTC", "00:00", "2026-11-10"),
        ("UTC", "04:00", "2026-11-10"),
        ("Asia/Shanghai", "00:00", "2026-11-10"),
        ("America/St_Johns", "05:30", "2026-11-01"),
        ("Europe/Berlin", "00:00", "2026-03-29"),
        ("Europe/Berlin", "02:30", "2026-03-29"),
        ("Europe/Berlin", "00:00", "2026-10-25"),
        # The clocks show 02:30 twice; the night begins once.
        ("Europe/Berlin", "02:30", "2026-10-25"),
        # Midnight itself is skipped, and shown twice.
        ("America/Santiago", "00:00", "2026-09-06"),
        ("America/Santiago", "00:00", "2026-04-05"),
        ("America/Havana", "00:00", "2026-11-01"),
    ],
)
def test_the_night_of_every_minute_around_a_day(spark, zone: str, cut: str, around: str):
    clock = NightClock(zone, cut)
    noon = datetime.fromisoformat(f"{around}T12:00:00+00:00")
    instants = [noon + timedelta(minutes=m) for m in range(-36 * 60, 36 * 60)]
    times = F.timestamp_seconds(F.lit(int(instants[0].timestamp())) + F.col("id") * 60)
    rows = spark.range(len(instants)).select("id", times.alias("ts"))
    night = clock.night(F.col("ts"))
    found = rows.select("id", night.alias("night"), clock.hours_into(F.col("ts"), night).alias("h"))
    in_order = sorted(found.collect())
    assert [row["night"] for row in in_order] == _begun(instants, zone, cut)
    # A night whose start the clocks skip is counted from where it would have been.
    assert {row["h"] for row in in_order} <= set(range(-1, 25))


def test_a_zone_that_java_lacks_is_refused_by_name(spark):
    for zone in ("UTC", "Asia/Shanghai", "America/Argentina/ComodRivadavia", "GMT-0"):
        NightClock(zone).require_zone(spark)
    with pytest.raises(InputError, match=r"'ROC'.*ingestion\.time_zone"):
        NightClock("ROC").require_zone(spark)
