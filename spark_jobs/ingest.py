"""Raw logs of nights to clean tables, catalogue and quarantine: every raw row ends somewhere.

Any number of nights is read in one pass: their rows differ in their ``arrival`` alone, and each
row sees of the others what it would see if its night came by itself.

One night alone: ``python -m spark_jobs.ingest job.json``, or the same file through spark-submit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.errors import InputError
from spark_jobs.contract.log_contract import CANDIDATE_SET, CANDIDATE_SET_ID, HISTORY, RAW, RawField
from spark_jobs.contract.schemas import CATALOG, FORGOTTEN, LEFT_OUT, QUARANTINE, UNREAD, USER_IDS
from spark_jobs.contract.schemas import CLEAN as SCHEMAS
from spark_jobs.ingest_job import IngestJob, Nights, Previous
from spark_jobs.reading.raw import (
    AT,
    RawTable,
    count_rows,
    not_yet,
    read_raw,
    require_columns,
    seen_columns,
)
from spark_jobs.runtime import output
from spark_jobs.runtime.work import Work
from spark_jobs.tables import feedback, impressions, items, user_events
from spark_jobs.tables.categories import (
    CLEAN,
    LATE,
    QUARANTINED,
    Before,
    check_conservation,
    of_category,
    tally,
)
from spark_jobs.tables.forgotten_rows import is_kept
from spark_jobs.tables.pseudonyms import key_id, pseudonym, user_key

__all__ = ["IngestJob", "Previous", "run", "run_together"]

# Tables whose rows happen at a time.
_TIMED = ("impressions", "feedback")
# Fewer rows are written as one file each; of more, every task writes its own.
_MANY_ROWS = 200_000
# Places of rows in quarantine that are broadcast at once: the text of rows passes no shuffle.
_PLACES = 1_000_000


@dataclass(frozen=True)
class OfNight:
    """What was found of one table on one night.

    Attributes:
        counts: by category and reason, and ``raw``.
        facts: aggregates over the clean rows.
        seen: the columns with at least one value.
    """

    counts: dict[str, Any]
    facts: dict[str, Any]
    seen: frozenset[str]

    @property
    def quarantined(self) -> int:
        """Number of rows in quarantine."""
        return sum(self.counts[QUARANTINED].values())


@dataclass(frozen=True)
class Counted:
    """What was found of one table.

    Attributes:
        raw: what was read.
        rows: its rows with their category, of impressions less their lists.
        line: of each row in its file, from the columns of ``raw.texts``.
        nights: arrival night to what was found.
    """

    raw: RawTable
    rows: DataFrame
    line: Column
    nights: Mapping[str, OfNight]

    @property
    def others(self) -> int:
        """Number of rows that are not clean."""
        return sum(n.counts["raw"] - n.counts[CLEAN] for n in self.nights.values())

    @property
    def files(self) -> int | None:
        """Into how many files a night is written; None: as many as tasks write it."""
        (*others, last) = self.nights.values()
        return 1 if not others and last.counts["raw"] < _MANY_ROWS else None

    def with_late(self) -> list[str]:
        """Nights with late rows."""
        return [night for night, found in self.nights.items() if found.counts[LATE]]


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
        _write_quarantine(spark, tables, nights)
        if nights.common.keep_user_ids:
            _write_user_ids(tables["impressions"], nights, key)
    known = set(nights.common.known_item_fields)
    counts = {}
    for job in nights.jobs:
        of_night = {name: table.nights[job.night] for name, table in tables.items()}
        known |= {*job.text_fields, *job.attribute_fields} & of_night["items"].seen
        counts[job.night] = {
            **{name: found.counts for name, found in of_night.items()},
            **_summary(of_night, job.night, job.scrub_contacts),
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
    raw_items = _read(spark, nights, "items", (*job.text_fields, *job.attribute_fields))
    raw_impressions, sets = _read_impressions(spark, nights)
    raw_feedback = _read(spark, nights, "feedback")
    # Read from the files again: a row lost or doubled by a join would not show otherwise.
    raw_rows = {
        raw.table: work.start(count_rows, raw) for raw in (raw_items, raw_impressions, raw_feedback)
    }
    raw_impressions, raw_feedback = _arrived(raw_impressions, job), _arrived(raw_feedback, job)

    before = output.read(spark, nights.folders("items", "catalog")[-1:], CATALOG)
    typed_items = items.typed(
        raw_items, job.clock, job.text_fields, job.attribute_fields, job.scrub_contacts
    )
    rows = work.keep(items.classify(typed_items))
    scrubbed = [F.count_if("_scrubbed").alias("scrubbed")] if job.scrub_contacts else []
    item_rows = _counted(raw_items, rows, raw_rows["items"].result(), nights, *scrubbed)
    _write(item_rows, "items", nights, work)
    versions = work.keep(items.versions(_only(rows, CLEAN), before, nights.names))
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
            _before(spark, nights, "impressions"),
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
    impression_rows = _counted(raw_impressions, rows, number, nights, *facts)
    _write(impression_rows, "impressions", nights, work, typed)

    left_out = impressions.left_out(rows)
    work.start(output.write_nights, left_out, nights.places("left_out"), LEFT_OUT)
    shown = _shown(spark, nights, _only(rows, CLEAN), left_out)
    alone = job.feedback_names == "request"
    typed_feedback = feedback.typed(raw_feedback, job.clock, job.screening, key, alone)
    if alone:
        typed_feedback = feedback.with_items(typed_feedback, shown)
    if job.forgotten.users:
        gone = job.forgotten.requests_of(rows)
        work.start(output.write_nights, gone, nights.places("forgotten"), FORGOTTEN)
        typed_feedback = job.forgotten.without_requests(typed_feedback, gone)
    earlier = _before(spark, nights, "feedback")
    rows = work.keep(feedback.classify(typed_feedback, shown, earlier, job.windows))
    unread = feedback.unread(rows, job.windows)
    work.start(output.write_nights, unread, nights.places("unread"), UNREAD)
    night = F.col("impression_night")
    read = F.col("event").isin(*job.windows) if job.windows else F.lit(False)
    slot_nights = F.collect_set(F.when(read, night.cast("string"))).alias("nights")
    unattributed = F.count_if(night.isNull()).alias("unattributed")
    events = work.start(feedback.by_event, rows, job.windows, nights.names)
    number = raw_rows["feedback"].result()
    feedback_rows = _counted(raw_feedback, rows, number, nights, slot_nights, unattributed)
    for name, found in feedback_rows.nights.items():
        found.facts.update(events.result()[name])
    _write(feedback_rows, "feedback", nights, work)
    tables = {"items": item_rows, "impressions": impression_rows, "feedback": feedback_rows}
    if HISTORY in job.tables:
        tables[HISTORY] = _history(spark, nights, key, work)
    return tables


def _history(spark: SparkSession, nights: Nights, key: bytes, work: Work) -> Counted:
    job = nights.common
    raw = _read(spark, nights, HISTORY)
    numbers = work.start(count_rows, raw)
    raw = _arrived(raw, job)
    typed = user_events.typed(raw, job.clock, job.screening, key, job.forgotten)
    rows = work.keep(user_events.classify(typed, _before(spark, nights, HISTORY)))
    found = _counted(raw, rows, numbers.result(), nights)
    _write(found, HISTORY, nights, work)
    return found


def _shown(spark: SparkSession, nights: Nights, taken: DataFrame, left_out: DataFrame) -> DataFrame:
    """request_id, item_id, night and ``taken`` of the impressions that each ``arrival`` knows.

    Impressions that validation stopped were shown all the same: their events are not lost ones.
    """
    stopped = [f"{p.folder}/impressions" for p in nights.earlier if "impressions" not in p.tables]
    schema = SCHEMAS["impressions"]
    keys = ("request_id", "item_id", "night")
    parts = [
        (True, taken.select(*keys, "arrival")),
        (True, output.read(spark, nights.folders("impressions"), schema)),
        (False, left_out.select(*keys, "arrival")),
        (False, output.read(spark, stopped, schema)),
        *((False, _left_out_of(spark, p)) for p in nights.earlier),
    ]
    marked = [
        part.select(*keys, _arrivals_that_know(nights), F.lit(is_taken).alias("taken"))
        for is_taken, part in parts
        if part is not None
    ]
    return reduce(DataFrame.unionByName, marked)


def _left_out_of(spark: SparkSession, earlier: Previous) -> DataFrame | None:
    folder = f"{earlier.folder}/left_out"
    rows = output.read(spark, [folder] if Path(folder).exists() else [], LEFT_OUT)
    return None if rows is None else rows.withColumn("arrival", F.to_date(F.lit(earlier.night)))


def _arrivals_that_know(nights: Nights) -> Column:
    """The nights, one a row, that look at a row which came on its ``arrival``."""
    if len(nights.names) == 1:
        return F.to_date(F.lit(nights.names[0])).alias("arrival")
    came = F.col("arrival")
    looking = F.filter(
        F.array(
            *[
                F.struct(F.to_date(F.lit(n)).alias("night"), F.to_date(F.lit(s)).alias("since"))
                for n, s in nights.since.items()
            ]
        ),
        lambda n: (n["since"] <= came) & (came <= n["night"]),
    )
    return F.explode(F.transform(looking, lambda n: n["night"])).alias("arrival")


def arrival_hours(rows: DataFrame, clock: NightClock) -> dict[str, dict[str, int]]:
    """Rows of each arrival night by the whole hours from its start to their ``ts``.

    Rows in quarantine count, rows whose time could not be read do not; hours more than two nights
    away count as the last of them.
    """
    hour = F.greatest(
        F.least(clock.hours_into(F.col("ts"), F.col("arrival")), F.lit(71)), F.lit(-48)
    )
    dated = rows.filter("_row_like and ts is not null")
    found: dict[str, dict[str, int]] = {}
    for row in sorted(dated.groupBy("arrival", hour.alias("hour")).count().collect()):
        found.setdefault(str(row["arrival"]), {})[str(row["hour"])] = row["count"]
    return found


def _read(spark: SparkSession, nights: Nights, table: str, more: Sequence[str] = ()) -> RawTable:
    wanted = [*RAW[table], *(RawField(n) for n in more if n not in {f.name for f in RAW[table]})]
    files = {job.night: job.tables[table] for job in nights.jobs}
    raw = read_raw(spark, table, files, wanted)
    until = nights.common.until
    return raw if until is None or table == "items" else not_yet(raw, nights.common.clock, until)


def _arrived(raw: RawTable, job: IngestJob) -> RawTable:
    """The table without the rows that are not there yet, once all of its lines are counted."""
    return raw if job.until is None else replace(raw, rows=raw.rows.filter("_row_like"))


def _read_impressions(spark: SparkSession, nights: Nights) -> tuple[RawTable, RawTable | None]:
    """The impressions, and the candidate sets that they name, where they do."""
    sets = {job.night: job.candidate_sets for job in nights.jobs if job.candidate_sets is not None}
    if not sets:
        return _read(spark, nights, "impressions"), None
    raw = _read(spark, nights, "impressions", (CANDIDATE_SET_ID,))
    return raw, read_raw(spark, "candidate_sets", sets, CANDIDATE_SET)


def _before(spark: SparkSession, nights: Nights, table: str) -> Before:
    """Clean and late rows of ``table`` of earlier nights."""
    late = [f for f in nights.folders(table, f"late/{table}") if Path(f).exists()]
    folders = nights.folders(table) + late
    return Before(output.read(spark, folders, SCHEMAS[table]), nights.since)


def _only(rows: DataFrame, category: str) -> DataFrame:
    return rows.filter(F.col("_category") == category)


def _counted(
    raw: RawTable,
    rows: DataFrame,
    in_files: tuple[Mapping[str, int], Column],
    nights: Nights,
    *facts: Column,
) -> Counted:
    """Counts of one table, after its columns and the sum of its categories were checked."""
    numbers, line = in_files
    # Feedback may be none, and a night may bring no new items after those of another one.
    first = "" if raw.table in ("feedback", HISTORY) else nights.names[0]
    if raw.table == "items" and nights.folders("items", "catalog"):
        first = ""
    for job in nights.jobs:
        empty = numbers[job.night] == 0
        if empty and (raw.table == "impressions" or job.night == first):
            if job.until is not None:
                raise InputError(f"{raw.where(job.night)}: no row is of a time before {job.until}")
            raise InputError(
                f"{raw.where(job.night)}: no rows at all. If the night really was empty, leave it "
                f"out; else check the log's delivery and the setting inputs.{raw.table}.path"
            )
    found = {}
    known = set(nights.common.known_item_fields)
    for name, tallied in tally(rows, nights.names, *facts).items():
        counts = tallied.counts | {"raw": numbers[name]}
        seen = frozenset(seen_columns(raw, tallied.mask))
        if numbers[name] > counts[QUARANTINED].get("unparsable", 0):
            _check_columns(raw, name, seen, nights.job_of(name), known)
        check_conservation(raw.where(name), counts)
        known |= seen
        found[name] = OfNight(counts, tallied.facts, seen)
    return Counted(raw, rows, line, found)


def _check_columns(
    raw: RawTable, night: str, seen: frozenset[str], job: IngestJob, known: AbstractSet[str]
) -> None:
    """``known`` are item fields that a row of an earlier night had."""
    wanted = [f.name for f in RAW[raw.table] if f.required]
    if raw.table == "impressions" and job.propensity == "estimated":
        wanted.remove("propensity")
    if raw.table == "impressions" and job.candidates == "catalog":
        wanted.remove("candidates")
    elif raw.table == "impressions" and job.candidate_set_path is not None:
        wanted = [*(n for n in wanted if n != "candidates"), CANDIDATE_SET_ID]
    if raw.table == "feedback" and job.feedback_names == "request":
        wanted.remove("item_id")
    require_columns(raw, night, wanted, seen)
    if raw.table == "items":
        items.require_fields(raw, night, job.text_fields, job.attribute_fields, seen | known)


def _write(
    table: Counted, name: str, nights: Nights, work: Work, typed: DataFrame | None = None
) -> None:
    """Write the clean and the late rows; those of ``typed``, where their category lies apart."""
    late = table.with_late()
    for kind in (CLEAN, LATE) if late else (CLEAN,):
        if typed is None:
            rows = _only(table.rows, kind)
        else:
            rows = of_category(typed, table.rows, kind, table.others)
        places = nights.places(name if kind == CLEAN else f"{LATE}/{name}")
        if kind == LATE:
            places = {night: places[night] for night in late}
        work.start(output.write_nights, rows, places, SCHEMAS[name], table.files)


def _write_quarantine(spark: SparkSession, tables: dict[str, Counted], nights: Nights) -> None:
    # Closed before a raw user identifier is in it.
    for folder in nights.places("quarantine").values():
        Path(folder).mkdir(mode=0o700)
    places = nights.places("quarantine/rows")
    # One at a time: the places of lines are counted by the partitions of their own scan.
    for name, table in tables.items():
        concerned = {n: places[n] for n, found in table.nights.items() if found.quarantined}
        if concerned:
            for part in _quarantined(table, name):
                output.write_nights(part, concerned, QUARANTINE, table.files, append=True)
    for night, place in places.items():
        rows = Path(place)
        if not rows.exists():
            output.write(output.empty(spark, QUARANTINE), place, QUARANTINE)
        output.make_private(rows.parent)
        wanted = sum(table.nights[night].quarantined for table in tables.values())
        found = output.count_rows(rows)
        if found != wanted:
            raise RuntimeError(
                f"night {night}: {wanted} rows are quarantined, and {found} of them were found "
                "again in the files; nothing was published. Either the files changed meanwhile, or "
                "this is a fault of the ingest job"
            )


def _write_user_ids(impressions: Counted, nights: Nights, key: bytes) -> None:
    """Write whom the pseudonyms of clean impressions stand for: one row a user and night.

    An id is read again where the user was first seen: it passes no shuffle.
    """
    for folder in nights.places("user_ids").values():
        Path(folder).mkdir(mode=0o700)
    places = nights.places("user_ids/rows")
    one = (
        _only(impressions.rows, CLEAN)
        .groupBy("arrival", "user")
        .agg(F.min(F.struct("_file_id", "_row")).alias("at"))
    )
    users = sum(night.facts.get("users", 0) for night in impressions.nights.values())
    user = pseudonym(F.col("user_id"), key).alias("user")
    for part in _at_places(impressions.raw.rows, one.select("arrival", "at.*"), users):
        named = part.select("arrival", user, "user_id")
        output.write_nights(named, places, USER_IDS, impressions.files, append=True)
    for place in places.values():
        output.make_private(Path(place).parent)


def _quarantined(table: Counted, name: str) -> list[DataFrame]:
    """The quarantined rows, their text read from the files again, in parts."""
    number = sum(n.quarantined for n in table.nights.values())
    reasons = _only(table.rows, QUARANTINED).select(*AT, "_reason")
    return [
        part.select(
            "arrival",
            F.col("arrival").alias("night"),
            F.lit(name).alias("table"),
            F.col("_reason").alias("reason"),
            F.col("_file").alias("file"),
            table.line.alias("line"),
            F.when(is_kept(F.col("_reason")), F.col("_raw")).alias("raw"),
        )
        for part in _at_places(table.raw.texts, reasons, number)
    ]


def _at_places(rows: DataFrame, places: DataFrame, number: int) -> list[DataFrame]:
    """The rows at so many places, which are sent to them, with the places' columns; in parts."""
    parts = 1 + number // _PLACES
    chosen = [places.filter(F.pmod("_row", F.lit(parts)) == i) for i in range(parts)]
    return [rows.join(F.broadcast(part), [*AT]) for part in chosen]


def _summary(tables: Mapping[str, OfNight], night: str, scrub: bool) -> dict[str, Any]:
    """What the clean rows say of a night."""
    shown, events = tables["impressions"].facts, tables["feedback"].facts
    nights = {*shown.get("nights", []), *events.get("nights", [])}
    scrubbed = {n: tables[n].facts.get("scrubbed", 0) for n in ("impressions", "items") if scrub}
    return {
        **({"scrubbed": scrubbed} if scrub else {}),
        "reopened": sorted(n for n in nights if n < night),
        "unattributed": events.get("unattributed", 0),
        "users": shown.get("users", 0),
        "events": events["events"],
        "late_events": events["late_events"],
    }


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
