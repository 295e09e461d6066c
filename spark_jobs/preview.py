"""The first rows of each raw table as ingestion reads them: to look at before a night is run."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.contract.log_contract import (
    CANDIDATE_SET,
    CANDIDATE_SET_ID,
    HISTORY,
    RAW,
    TABLES,
    RawField,
)
from spark_jobs.contract.schemas import CATALOG
from spark_jobs.ingestion.ingest_job import IngestJob, Nights
from spark_jobs.reading.raw import read_raw
from spark_jobs.runtime import output
from spark_jobs.tables import feedback, impressions, items, user_events
from spark_jobs.tables.forgotten_rows import is_kept
from spark_jobs.tables.pseudonyms import user_key

# Not shown: what tells two rows apart, and what may hold anything of a person.
_APART = ("_row_like", "_present", "_file_id", "_row", "_content", "session_id")


def preview(spark: SparkSession, job: IngestJob, rows: int) -> dict[str, list[dict[str, Any]]]:
    """Table to its first rows, typed, each with the ``reason`` for which it will be quarantined.

    What only other rows tell is not looked at: duplicates, unknown items, bots, late rows. Users
    are pseudonyms; of a context its keys are shown. Rows of people who were forgotten are left
    out. Where impressions take the catalogue as their candidates, it is that of the nights
    ``previous`` with tonight's items.

    Raises:
        InputError: a file or the key is missing.
    """
    key = user_key(job.key_variable, job.known_keys)
    estimated = job.propensity == "estimated"
    more = (*job.text_fields, *job.attribute_fields)
    sets = job.candidate_sets
    raw = {
        name: read_raw(spark, name, {job.night: job.tables[name]}, _wanted(name, extra))
        for name, extra in {
            "items": more,
            "impressions": () if sets is None else (CANDIDATE_SET_ID,),
            "feedback": (),
        }.items()
    }
    named = None
    if sets is not None:
        named = read_raw(spark, "candidate_sets", {job.night: sets}, CANDIDATE_SET)
    typed_items = items.typed(
        raw["items"], job.clock, job.text_fields, job.attribute_fields, job.scrub_contacts
    )
    typed = {
        "items": typed_items,
        "impressions": impressions.typed(
            raw["impressions"],
            job.clock,
            job.screening,
            key,
            estimated,
            job.forgotten,
            named,
            _catalog(spark, job, typed_items) if job.candidates == "catalog" else None,
            job.scrub_contacts,
        ),
        "feedback": feedback.typed(
            raw["feedback"], job.clock, job.screening, key, job.feedback_names == "request"
        ),
    }
    if HISTORY in job.tables:
        events = read_raw(spark, HISTORY, {job.night: job.tables[HISTORY]}, RAW[HISTORY])
        typed[HISTORY] = user_events.typed(events, job.clock, job.screening, key, job.forgotten)
    if job.forgotten.users:
        gone = job.forgotten.requests_of(typed["impressions"])
        typed["feedback"] = job.forgotten.without_requests(typed["feedback"], gone)
    return {name: _first(typed[name], rows) for name in (*TABLES, HISTORY) if name in typed}


def _catalog(spark: SparkSession, job: IngestJob, typed_items: DataFrame) -> DataFrame:
    """``arrival`` and ``item_id`` of what can be shown on the night."""
    taken = typed_items.filter(F.col("_row_like") & F.col("_reason").isNull())
    folders = Nights((job,)).folders("items", "catalog")[-1:]
    found = items.versions(taken, output.read(spark, folders, CATALOG), [job.night])
    return items.catalogs(found, [job.night])


def _wanted(table: str, more: tuple[str, ...]) -> list[RawField]:
    known = {f.name for f in RAW[table]}
    return [*RAW[table], *(RawField(n) for n in more if n not in known)]


def _first(typed: DataFrame, rows: int) -> list[dict[str, Any]]:
    told = typed.filter(F.col("_row_like") & is_kept(F.col("_reason")))
    shown = told.drop(*_APART).withColumnRenamed("_reason", "reason")
    if "context" in shown.columns:
        shown = shown.withColumn("context", F.map_keys("context"))
    found = shown.limit(rows).select(F.to_json(F.struct("*")).alias("row")).collect()
    return [json.loads(row["row"]) for row in found]
