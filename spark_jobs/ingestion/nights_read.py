"""The raw tables of nights, and what earlier nights hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession

from spark_jobs.contract.log_contract import CANDIDATE_SET, CANDIDATE_SET_ID, RAW, RawField
from spark_jobs.contract.schemas import CLEAN as SCHEMAS
from spark_jobs.ingestion.ingest_job import IngestJob, Nights
from spark_jobs.reading.raw import RawTable, not_yet, read_raw
from spark_jobs.runtime import output
from spark_jobs.tables.categories import Before


def read_table(
    spark: SparkSession, nights: Nights, table: str, more: Sequence[str] = ()
) -> RawTable:
    """The raw rows of a table on all nights; ``more``: columns beside those of the contract."""
    wanted = [*RAW[table], *(RawField(n) for n in more if n not in {f.name for f in RAW[table]})]
    files = {job.night: job.tables[table] for job in nights.jobs}
    raw = read_raw(spark, table, files, wanted)
    until = nights.common.until
    return raw if until is None or table == "items" else not_yet(raw, nights.common.clock, until)


def read_impressions(spark: SparkSession, nights: Nights) -> tuple[RawTable, RawTable | None]:
    """The impressions, and the candidate sets that they name, where they do."""
    sets = {job.night: job.candidate_sets for job in nights.jobs if job.candidate_sets is not None}
    if not sets:
        return read_table(spark, nights, "impressions"), None
    raw = read_table(spark, nights, "impressions", (CANDIDATE_SET_ID,))
    return raw, read_raw(spark, "candidate_sets", sets, CANDIDATE_SET)


def arrived(raw: RawTable, job: IngestJob) -> RawTable:
    """The table without the rows that are not there yet, once all of its lines are counted."""
    return raw if job.until is None else replace(raw, rows=raw.rows.filter("_row_like"))


def rows_before(spark: SparkSession, nights: Nights, table: str) -> Before:
    """Clean and late rows of ``table`` of earlier nights."""
    late = [f for f in nights.folders(table, f"late/{table}") if Path(f).exists()]
    folders = nights.folders(table) + late
    return Before(output.read(spark, folders, SCHEMAS[table]), nights.since)
