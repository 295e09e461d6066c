"""Every raw row of each table in its category, table by table: a later one needs the earlier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.contract.log_contract import HISTORY
from spark_jobs.contract.schemas import CATALOG, FORGOTTEN, LEFT_OUT, UNREAD
from spark_jobs.ingestion.counted import Counted, counted_table, only
from spark_jobs.ingestion.ingest_job import IngestJob, Nights
from spark_jobs.ingestion.known_shows import known_shows
from spark_jobs.ingestion.nights_read import arrived, read_impressions, read_table, rows_before
from spark_jobs.ingestion.written import write_table
from spark_jobs.reading.raw import RawTable, count_rows
from spark_jobs.runtime import output
from spark_jobs.runtime.work import Work
from spark_jobs.tables import feedback, impressions, items, user_events
from spark_jobs.tables.categories import CLEAN

if TYPE_CHECKING:
    from concurrent.futures import Future

    # What ``count_rows`` tells.
    Numbers = Future[tuple[dict[str, int], Column]]


def classified_tables(
    spark: SparkSession, nights: Nights, key: bytes, work: Work
) -> dict[str, Counted]:
    """The rows of each table; the clean and late ones and the catalogues are written."""
    return _Reading(spark, nights, key, work).tables()


@dataclass(frozen=True)
class _Reading:
    """One pass over the raw files of nights."""

    spark: SparkSession
    nights: Nights
    key: bytes
    work: Work

    @property
    def _job(self) -> IngestJob:
        return self.nights.common

    def tables(self) -> dict[str, Counted]:
        """Each table's rows by category, counted."""
        job = self._job
        raw_items = read_table(
            self.spark, self.nights, "items", (*job.text_fields, *job.attribute_fields)
        )
        raw_impressions, sets = read_impressions(self.spark, self.nights)
        raw_feedback = read_table(self.spark, self.nights, "feedback")
        # Read from the files again: a row lost or doubled by a join would not show otherwise.
        numbers = [self._counting(raw) for raw in (raw_items, raw_impressions, raw_feedback)]
        item_rows, versions = self._items(raw_items, numbers[0])
        impression_rows, rows = self._impressions(
            arrived(raw_impressions, job), sets, versions, numbers[1]
        )
        tables = {
            "items": item_rows,
            "impressions": impression_rows,
            "feedback": self._feedback(arrived(raw_feedback, job), rows, numbers[2]),
        }
        if HISTORY in job.tables:
            tables[HISTORY] = self._history()
        return tables

    def _counting(self, raw: RawTable) -> Numbers:
        return self.work.start(count_rows, raw)

    def _items(self, raw: RawTable, numbers: Numbers) -> tuple[Counted, DataFrame]:
        """The items, and the versions of each that there have been until each night."""
        job, nights = self._job, self.nights
        before = output.read(self.spark, nights.folders("items", "catalog")[-1:], CATALOG)
        typed = items.typed(
            raw, job.clock, job.text_fields, job.attribute_fields, job.scrub_contacts
        )
        rows = self.work.keep(items.classify(typed))
        found = counted_table(raw, rows, numbers.result(), nights, *self._scrubbed())
        write_table(found, "items", nights, self.work)
        versions = self.work.keep(items.versions(only(rows, CLEAN), before, nights.names))
        catalogs = items.catalogs(versions, nights.names)
        self.work.start(output.write_nights, catalogs, nights.places("catalog"), CATALOG)
        return found, versions

    def _scrubbed(self) -> list[Column]:
        return [F.count_if("_scrubbed").alias("scrubbed")] if self._job.scrub_contacts else []

    def _impressions(
        self, raw: RawTable, sets: RawTable | None, versions: DataFrame, numbers: Numbers
    ) -> tuple[Counted, DataFrame]:
        """The impressions, and their rows with the lists."""
        job, nights = self._job, self.nights
        by_night = job.candidates == "catalog"
        typed = impressions.typed(
            raw,
            job.clock,
            job.screening,
            self.key,
            job.propensity == "estimated",
            job.forgotten,
            sets,
            items.catalogs(versions, nights.names) if by_night else None,
            job.scrub_contacts,
        )
        if any(source.format != "parquet" for source in raw.sources.values()):
            # Text is parsed once; a column of Parquet is read again as fast as out of a cache.
            typed = self.work.keep(typed)
        rows = self.work.keep(
            impressions.classify(
                typed,
                versions,
                rows_before(self.spark, nights, "impressions"),
                job.late_nights,
                job.bot_requests_per_night,
                job.screening,
                self.work,
            )
        )
        slot_nights = F.collect_set(F.col("night").cast("string")).alias("nights")
        users = F.count_distinct("user").alias("users")
        facts = (slot_nights, users, *self._scrubbed())
        found = counted_table(raw, rows, numbers.result(), nights, *facts)
        write_table(found, "impressions", nights, self.work, typed)
        return found, rows

    def _feedback(self, raw: RawTable, slots: DataFrame, numbers: Numbers) -> Counted:
        """The feedback, attributed to slots of the impressions by category, ``slots``."""
        job, nights, work = self._job, self.nights, self.work
        left_out = impressions.left_out(slots)
        work.start(output.write_nights, left_out, nights.places("left_out"), LEFT_OUT)
        shown = known_shows(self.spark, nights, only(slots, CLEAN), left_out)
        rows = work.keep(
            feedback.classify(
                self._typed_feedback(raw, slots, shown),
                shown,
                rows_before(self.spark, nights, "feedback"),
                job.windows,
            )
        )
        unread = feedback.unread(rows, job.windows)
        work.start(output.write_nights, unread, nights.places("unread"), UNREAD)
        night = F.col("impression_night")
        read = F.col("event").isin(*job.windows) if job.windows else F.lit(False)
        slot_nights = F.collect_set(F.when(read, night.cast("string"))).alias("nights")
        unattributed = F.count_if(night.isNull()).alias("unattributed")
        events = work.start(feedback.by_event, rows, job.windows, nights.names)
        found = counted_table(raw, rows, numbers.result(), nights, slot_nights, unattributed)
        for name, of_night in found.nights.items():
            of_night.facts.update(events.result()[name])
        write_table(found, "feedback", nights, work)
        return found

    def _typed_feedback(self, raw: RawTable, slots: DataFrame, shown: DataFrame) -> DataFrame:
        """Without that of requests of people who were forgotten, whose hashes are written."""
        job = self._job
        alone = job.feedback_names == "request"
        typed = feedback.typed(raw, job.clock, job.screening, self.key, alone)
        if alone:
            typed = feedback.with_items(typed, shown)
        if not job.forgotten.users:
            return typed
        gone = job.forgotten.requests_of(slots)
        self.work.start(output.write_nights, gone, self.nights.places("forgotten"), FORGOTTEN)
        return job.forgotten.without_requests(typed, gone)

    def _history(self) -> Counted:
        job, nights = self._job, self.nights
        raw = read_table(self.spark, nights, HISTORY)
        numbers = self._counting(raw)
        raw = arrived(raw, job)
        typed = user_events.typed(raw, job.clock, job.screening, self.key, job.forgotten)
        before = rows_before(self.spark, nights, HISTORY)
        rows = self.work.keep(user_events.classify(typed, before))
        found = counted_table(raw, rows, numbers.result(), nights)
        write_table(found, HISTORY, nights, self.work)
        return found
