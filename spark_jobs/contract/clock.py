"""What a night is, and how the times of a log are read: one clock for all tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyspark.errors import DateTimeException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from spark_jobs.contract.errors import InputError

Epochs = Literal["auto", "seconds", "milliseconds", "microseconds"]

# Spark also reads a time without a date, as of today, and a bare year.
_DATED = r"^\d{4}-\d{2}-\d{2}"
_NAIVE = r"^\d{4}-\d{2}-\d{2}([T ][0-9:.]*)?$"
_MINUTES = r"^(.{10}[T ]\d{1,2}:\d{2})([^:].*)$"
_NUMBER = r"^\d+(\.\d*)?([eE]\+?\d{1,2})?$"
_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
# Seconds of 2000-01-01 and 2100-01-01: a factor below 1,000, so that no number has two readings.
_OLDEST, _NEWEST = 946_684_800, 4_102_444_800
_MICROSECONDS_AN_HOUR = 3_600_000_000


@dataclass(frozen=True)
class NightClock:
    """Where a night begins and how a time is read.

    A night begins when the clocks of ``time_zone`` first show ``night_starts`` on its date, and
    ends where the next one begins: 23 or 25 hours later when summer time begins or ends.

    Attributes:
        time_zone: IANA name; of nights, and of times that name no offset.
        night_starts: local time, HH:MM.
        epochs: unit of times that are numbers; ``auto`` takes the one by which the time lies
            between 2000 and 2100.
    """

    time_zone: str = "UTC"
    night_starts: str = "00:00"
    epochs: Epochs = "auto"

    def cut(self) -> dict[str, str]:
        """What decides which night a time is in."""
        return {"time_zone": self.time_zone, "night_starts": self.night_starts}

    def require_zone(self, spark: SparkSession) -> None:
        """Refuse a time zone that Java does not know, whose data may be older than Python's.

        Raises:
            InputError: naming the zone.
        """
        try:
            spark._jvm.java.time.ZoneId.of(self.time_zone)
        except DateTimeException as error:
            raise InputError(
                f"Spark's Java knows no time zone {self.time_zone!r}: set ingestion.time_zone to "
                "one with the same clock, or set spark.java to a newer Java"
            ) from error

    def time_of(self, rows: DataFrame, name: str) -> Column:
        """A column of times: as it is where the file gives it that type, else read as text."""
        known = isinstance(rows.schema[name].dataType, t.TimestampType)
        return F.col(name) if known else self.instant(F.col(name))

    def instant(self, text: Column) -> Column:
        """The timestamp that a text is: ISO 8601, or a number since 1970; null where it is none.

        Of a local time that the clocks show twice the first is taken, and one that they skip counts
        on from before the gap.
        """
        # Spark reads an offset after seconds only.
        exact = F.regexp_replace(text, _MINUTES, "$1:00$2")
        read = F.coalesce(text.try_cast("timestamp"), exact.try_cast("timestamp"))
        local = F.to_utc_timestamp(read, self.time_zone)
        iso = F.when(text.rlike(_NAIVE), local).otherwise(read)
        epoch = F.when(text.rlike(_NUMBER), self._epoch(text))
        return F.when(text.rlike(_DATED), iso).otherwise(epoch)

    def night(self, ts: Column) -> Column:
        """The date of the night in which a timestamp lies."""
        local = F.from_utc_timestamp(ts, self.time_zone) - self._cut()
        date = F.to_date(local)
        following = F.date_add(date, 1)
        # When the clocks go back across the start of a night, it stays begun.
        return F.when(ts >= self.start(following), following).otherwise(date)

    def start(self, night: Column) -> Column:
        """The timestamp at which a night begins."""
        return F.to_utc_timestamp(night.cast("timestamp") + self._cut(), self.time_zone)

    def hours_into(self, ts: Column, night: Column) -> Column:
        """Whole hours, rounded down, from the start of a night to a timestamp, int."""
        passed = F.unix_micros(ts) - F.unix_micros(self.start(night))
        return F.floor(passed / _MICROSECONDS_AN_HOUR).cast("int")

    def _cut(self) -> Column:
        hours, minutes = map(int, self.night_starts.split(":"))
        return F.make_dt_interval(F.lit(0), F.lit(hours), F.lit(minutes), F.lit(0))

    def _epoch(self, text: Column) -> Column:
        value = text.try_cast("decimal(26,6)")
        found = F.lit(None).cast("timestamp")
        for unit, per_second in _PER_SECOND.items():
            if self.epochs in ("auto", unit):
                fits = (value >= _OLDEST * per_second) & (value < _NEWEST * per_second)
                micros = (value * (1_000_000 // per_second)).try_cast("bigint")
                found = F.when(fits, F.timestamp_micros(micros)).otherwise(found)
        return found
