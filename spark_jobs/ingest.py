"""Raw logs of nights to clean tables, catalogue and quarantine: every raw row ends somewhere.

Any number of nights is read in one pass: their rows differ in their ``arrival`` alone, and each
row sees of the others what it would see if its night came by itself.

One night alone: ``python -m spark_jobs.ingest job.json``, or the same file through spark-submit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_jobs.contract.log_contract import HISTORY
from spark_jobs.contract.schemas import CATALOG, FORGOTTEN, LEFT_OUT, UNREAD
from spark_jobs.ingestion.counted import Counted, counted_table, only
from spark_jobs.ingestion.ingest_job import IngestJob, Nights
from spark_jobs.ingestion.known_shows import known_shows
from spark_jobs.ingestion.night_facts import arrival_hours, summary
from spark_jobs.ingestion.nights_read import arrived, read_impressions, read_table, rows_before
from spark_jobs.ingestion.written import write_quarantine, write_table, write_user_ids
from spark_jobs.reading.raw import count_rows
from spark_jobs.runtime import output
from spark_jobs.runtime.work import Work
from spark_jobs.tables import feedback, impressions, items, user_events
from spark_jobs.tables.categories import CLEAN
from spark_jobs.tables.pseudonyms import key_id, user_key

# Tables whose rows happen at a time.
_TIMED = ("impressions", "feedback")


def run(spark: SparkSession, job: IngestJob) -> dict[str, Any]:
    """Ingest one night; returns what ``counts.json`` holds: see ``run_together``."""
    return run_together(spark, (job,))[job.night]


def run_together(spark: SparkSession, jobs: Sequence[IngestJob]) -> dict[str, dict[str, Any]]:
    """Ingest nights in one pass; returns for each what its ``counts.json`` holds.

    Under ``job.out`` of each: ``impressions``, ``feedback``, ``items``, ``history`` where the job
    names that table, ``catalog``, ``left_out``
    (slots whose impression was not taken) and ``unread`` (slots of which an event came that could
    not be read; Parquet), ``late/<table>`` where there are late rows, ``forgotten`` (hashes of
    requests) where people were forgotten, ``quarantine`` and, if wanted, ``user_ids`` (mode 0700,
    files 0600; the only places with raw user identifiers) and ``counts.json``: for each table
    ``{raw, clean, duplicate, late, quarantined: {reason: n}}``, then ``reopened`` (earlier nights
    that got impressions or attributable feedback), ``unattributed`` (clean feedback of no known
    impression), ``users``, ``item_fields`` (of the settings, that a row of any night so far had),
    ``arrival_hours`` (table to ``arrival_hours``), ``events`` and ``late_events`` (see
    ``feedback.by_event``), ``catalog`` (items), ``items_without_text`` (of these), ``key_id``, and
    of the job ``night``, ``late_nights``, ``windows`` and ``clock`` (``time_zone`` and
    ``night_starts``).

    Raises:
        InputError: a file, a column, the key or all rows are missing, or Java lacks the time zone.
        RuntimeError: the categories do not add up to the raw rows.
        ValueError: the jobs' settings differ.
    """
    nights = Nights(jobs)
    key = user_key(nights.common.key_variable, nights.common.known_keys)
    nights.common.clock.require_zone(spark)
    for job in nights.jobs:
        output.replace_folder(job.out)
    with Work() as work:
        tables = _classify(spark, nights, key, work)
        clock = nights.common.clock
        hours = {t: work.start(arrival_hours, tables[t].rows, clock) for t in _TIMED}
        write_quarantine(spark, tables, nights)
        if nights.common.keep_user_ids:
            write_user_ids(tables["impressions"], nights, key)
    known = set(nights.common.known_item_fields)
    counts = {}
    for job in nights.jobs:
        of_night = {name: table.nights[job.night] for name, table in tables.items()}
        known |= {*job.text_fields, *job.attribute_fields} & of_night["items"].seen
        counts[job.night] = {
            **{name: found.counts for name, found in of_night.items()},
            **summary(of_night, job.night, job.scrub_contacts),
            "item_fields": sorted(known),
            "arrival_hours": {t: found.result().get(job.night, {}) for t, found in hours.items()},
            **items.catalog_counts(Path(job.out, "catalog")),
            "key_id": key_id(key),
            "night": job.night,
            "late_nights": job.late_nights,
            "clock": clock.cut(),
            "windows": job.windows,
        }
        text = json.dumps(counts[job.night], sort_keys=True, indent=1)
        Path(job.out, "counts.json").write_text(text)
    return counts


def _classify(spark: SparkSession, nights: Nights, key: bytes, work: Work) -> dict[str, Counted]:
    """The rows of each table; the clean and late ones and the catalogues are written."""
    job = nights.common
    raw_items = read_table(spark, nights, "items", (*job.text_fields, *job.attribute_fields))
    raw_impressions, sets = read_impressions(spark, nights)
    raw_feedback = read_table(spark, nights, "feedback")
    # Read from the files again: a row lost or doubled by a join would not show otherwise.
    raw_rows = {
        raw.table: work.start(count_rows, raw) for raw in (raw_items, raw_impressions, raw_feedback)
    }
    raw_impressions, raw_feedback = arrived(raw_impressions, job), arrived(raw_feedback, job)

    before = output.read(spark, nights.folders("items", "catalog")[-1:], CATALOG)
    typed_items = items.typed(
        raw_items, job.clock, job.text_fields, job.attribute_fields, job.scrub_contacts
    )
    rows = work.keep(items.classify(typed_items))
    scrubbed = [F.count_if("_scrubbed").alias("scrubbed")] if job.scrub_contacts else []
    item_rows = counted_table(raw_items, rows, raw_rows["items"].result(), nights, *scrubbed)
    write_table(item_rows, "items", nights, work)
    versions = work.keep(items.versions(only(rows, CLEAN), before, nights.names))
    catalogs = items.catalogs(versions, nights.names)
    work.start(output.write_nights, catalogs, nights.places("catalog"), CATALOG)

    estimated = job.propensity == "estimated"
    typed = impressions.typed(
        raw_impressions,
        job.clock,
        job.screening,
        key,
        estimated,
        job.forgotten,
        sets,
        catalogs if job.candidates == "catalog" else None,
        job.scrub_contacts,
    )
    if any(source.format != "parquet" for source in raw_impressions.sources.values()):
        # Text is parsed once; a column of Parquet is read again as fast as out of a cache.
        typed = work.keep(typed)
    rows = work.keep(
        impressions.classify(
            typed,
            versions,
            rows_before(spark, nights, "impressions"),
            job.late_nights,
            job.bot_requests_per_night,
            job.screening,
            work,
        )
    )
    slot_nights = F.collect_set(F.col("night").cast("string")).alias("nights")
    users = F.count_distinct("user").alias("users")
    number = raw_rows["impressions"].result()
    facts = (slot_nights, users, *scrubbed)
    impression_rows = counted_table(raw_impressions, rows, number, nights, *facts)
    write_table(impression_rows, "impressions", nights, work, typed)

    left_out = impressions.left_out(rows)
    work.start(output.write_nights, left_out, nights.places("left_out"), LEFT_OUT)
    shown = known_shows(spark, nights, only(rows, CLEAN), left_out)
    alone = job.feedback_names == "request"
    typed_feedback = feedback.typed(raw_feedback, job.clock, job.screening, key, alone)
    if alone:
        typed_feedback = feedback.with_items(typed_feedback, shown)
    if job.forgotten.users:
        gone = job.forgotten.requests_of(rows)
        work.start(output.write_nights, gone, nights.places("forgotten"), FORGOTTEN)
        typed_feedback = job.forgotten.without_requests(typed_feedback, gone)
    earlier = rows_before(spark, nights, "feedback")
    rows = work.keep(feedback.classify(typed_feedback, shown, earlier, job.windows))
    unread = feedback.unread(rows, job.windows)
    work.start(output.write_nights, unread, nights.places("unread"), UNREAD)
    night = F.col("impression_night")
    read = F.col("event").isin(*job.windows) if job.windows else F.lit(False)
    slot_nights = F.collect_set(F.when(read, night.cast("string"))).alias("nights")
    unattributed = F.count_if(night.isNull()).alias("unattributed")
    events = work.start(feedback.by_event, rows, job.windows, nights.names)
    number = raw_rows["feedback"].result()
    feedback_rows = counted_table(raw_feedback, rows, number, nights, slot_nights, unattributed)
    for name, found in feedback_rows.nights.items():
        found.facts.update(events.result()[name])
    write_table(feedback_rows, "feedback", nights, work)
    tables = {"items": item_rows, "impressions": impression_rows, "feedback": feedback_rows}
    if HISTORY in job.tables:
        tables[HISTORY] = _history(spark, nights, key, work)
    return tables


def _history(spark: SparkSession, nights: Nights, key: bytes, work: Work) -> Counted:
    job = nights.common
    raw = read_table(spark, nights, HISTORY)
    numbers = work.start(count_rows, raw)
    raw = arrived(raw, job)
    typed = user_events.typed(raw, job.clock, job.screening, key, job.forgotten)
    rows = work.keep(user_events.classify(typed, rows_before(spark, nights, HISTORY)))
    found = counted_table(raw, rows, numbers.result(), nights)
    write_table(found, HISTORY, nights, work)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job in the JSON file that the first argument names; counts go to standard output."""
    from spark_jobs.runtime.session import spark_session

    (path,) = sys.argv[1:] if argv is None else argv
    job = IngestJob.from_json(Path(path).read_text())
    counts = run(spark_session(), job)
    sys.stdout.write(json.dumps(counts, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
