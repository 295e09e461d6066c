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

from spark_jobs.ingestion.classified_tables import classified_tables
from spark_jobs.ingestion.ingest_job import IngestJob, Nights
from spark_jobs.ingestion.night_facts import arrival_hours, summary
from spark_jobs.ingestion.written import write_quarantine, write_user_ids
from spark_jobs.runtime import output
from spark_jobs.runtime.work import Work
from spark_jobs.tables import items
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
        tables = classified_tables(spark, nights, key, work)
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
