"""One night's raw logs to clean tables, catalogue and quarantine: every raw row ends somewhere.

Run alone: ``python -m spark_jobs.ingest job.json``, or the same file through spark-submit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs import feedback, impressions, items, output
from spark_jobs.categories import (
    CLEAN,
    LATE,
    QUARANTINED,
    check_conservation,
    of_category,
    tally,
)
from spark_jobs.clock import NightClock
from spark_jobs.errors import InputError
from spark_jobs.forgotten_rows import ForgottenRows, is_kept
from spark_jobs.log_contract import CANDIDATE_SET, CANDIDATE_SET_ID, RAW, TABLES, RawField
from spark_jobs.pseudonyms import key_id, user_key
from spark_jobs.raw import (
    AT,
    RawTable,
    TableInput,
    count_rows,
    read_raw,
    require_columns,
    seen_columns,
)
from spark_jobs.schemas import CATALOG, FORGOTTEN, LEFT_OUT, QUARANTINE, UNREAD
from spark_jobs.schemas import CLEAN as SCHEMAS
from spark_jobs.screening import ScreeningRules
from spark_jobs.work import Work

# Tables whose rows happen at a time.
_TIMED = ("impressions", "feedback")
# Fewer rows are written as one file each; of more, every task writes its own.
_MANY_ROWS = 200_000
# Places of rows in quarantine that are broadcast at once: the text of rows passes no shuffle.
_PLACES = 1_000_000


@dataclass(frozen=True)
class Previous:
    """The output of an earlier night's ingestion.

    Attributes:
        night: its arrival night, ISO date.
        folder: its output folder.
        tables: those that passed validation; the others are taken as never having arrived.
    """

    night: str
    folder: str
    tables: tuple[str, ...] = TABLES


@dataclass(frozen=True)
class IngestJob:
    """Everything that decides what a night's ingestion writes.

    Attributes:
        night: arrival night, ISO date.
        tables: ``impressions``, ``feedback`` and ``items``.
        out: folder to write; replaced.
        text_fields: item columns joined into the text.
        attribute_fields: numeric item columns that are taken as attributes.
        candidate_set_path: table (candidate_set_id, candidates), in the format of the
            impressions, for logs that name their candidate sets.
        known_item_fields: those of the two that a row of an earlier night had.
        clock: what a night is, and how times are read.
        previous: earlier nights, for the catalogue, duplicates and attribution.
        late_nights: impressions that arrive more nights after their own are late.
        bot_requests_per_night: a user with more requests is a bot.
        screening: what more is quarantined.
        windows: event to the longest ``window_nights`` of the objectives that read it.
        key_variable: environment variable with the key of the user pseudonyms.
        known_keys: ids of the keys of the nights before.
        forgotten: whose rows are dropped.
        scrub_contacts: whether contacts in free text are replaced.
        propensity: ``logged``: an impression without one is quarantined; ``estimated``: it is
            kept with a null.
    """

    night: str
    tables: dict[str, TableInput]
    out: str
    text_fields: tuple[str, ...] = ("text",)
    attribute_fields: tuple[str, ...] = ()
    candidate_set_path: str | None = None
    known_item_fields: tuple[str, ...] = ()
    clock: NightClock = field(default_factory=NightClock)
    previous: tuple[Previous, ...] = ()
    late_nights: int = 2
    bot_requests_per_night: int = 500
    screening: ScreeningRules = field(default_factory=ScreeningRules)
    windows: dict[str, int] = field(default_factory=dict)
    key_variable: str = "MRLM_USER_KEY"
    known_keys: tuple[str, ...] = ()
    forgotten: ForgottenRows = field(default_factory=ForgottenRows)
    scrub_contacts: bool = False
    propensity: Literal["logged", "estimated"] = "logged"

    def to_json(self) -> str:
        """The job as JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> IngestJob:
        """The inverse of ``to_json``."""
        data = json.loads(text)
        data["tables"] = {k: TableInput.from_dict(v) for k, v in data["tables"].items()}
        data["clock"] = NightClock(**data.get("clock", {}))
        if "screening" in data:
            data["screening"] = ScreeningRules.from_dict(data["screening"])
        data["forgotten"] = ForgottenRows.from_dict(data.get("forgotten", {}))
        data["previous"] = tuple(
            Previous(**{**p, "tables": tuple(p["tables"])}) for p in data.get("previous", [])
        )
        for name in ("text_fields", "attribute_fields", "known_item_fields", "known_keys"):
            if name in data:
                data[name] = tuple(data[name])
        return cls(**data)

    def folders(self, table: str, kind: str | None = None) -> list[str]:
        """Folders ``kind`` (default ``table``) of earlier nights, where ``table`` passed."""
        nights = sorted(self.previous, key=lambda p: p.night)
        trusted = [p for p in nights if table in p.tables and p.night < self.night]
        return [f"{p.folder}/{kind or table}" for p in trusted]


@dataclass(frozen=True)
class Counted:
    """What was found of one table.

    Attributes:
        raw: what was read.
        rows: its rows with their category, of impressions less their lists.
        counts: by category and reason, and ``raw``.
        line: of each row in its file, from the columns of ``raw.texts``.
        facts: aggregates over the clean rows.
        seen: the columns with at least one value.
    """

    raw: RawTable
    rows: DataFrame
    counts: dict[str, Any]
    line: Column
    facts: dict[str, Any]
    seen: frozenset[str]

    @property
    def others(self) -> int:
        """Number of rows that are not clean."""
        return int(self.counts["raw"] - self.counts[CLEAN])

    @property
    def files(self) -> int | None:
        """Into how many files rows are written; None: as many as tasks write them."""
        return 1 if self.counts["raw"] < _MANY_ROWS else None


def run(spark: SparkSession, job: IngestJob) -> dict[str, Any]:
    """Ingest one night; returns what ``counts.json`` holds.

    Under ``job.out``: ``impressions``, ``feedback``, ``items``, ``catalog``, ``left_out`` (slots
    whose impression was not taken) and ``unread`` (slots of which an event came that could not be
    read; Parquet), ``late/<table>`` where there are late rows, ``forgotten`` (hashes of requests)
    where people were forgotten, ``quarantine`` (mode 0700, files 0600; the only place with raw user
    identifiers) and ``counts.json``: for each table
    ``{raw, clean, duplicate, late, quarantined: {reason: n}}``, then ``reopened`` (earlier nights
    that got impressions or attributable feedback), ``unattributed`` (clean feedback of no known
    impression), ``users``, ``item_fields`` (of the settings, that a row of any night so far had),
    ``arrival_hours`` (table to ``arrival_hours``), ``events`` and ``late_events`` (see
    ``feedback.by_event``), ``catalog`` (items), ``items_without_text`` (of these), ``key_id``, and
    of the job ``night``, ``late_nights`` and ``windows``.

    Raises:
        InputError: a file, a column, the key or all rows are missing, or Java lacks the time zone.
        RuntimeError: the categories do not add up to the raw rows.
    """
    key = user_key(job.key_variable, job.known_keys)
    job.clock.require_zone(spark)
    output.replace_folder(job.out)
    with Work() as work:
        tables = _classify(spark, job, key, work)
        hours = {t: work.start(arrival_hours, tables[t].rows, job) for t in _TIMED}
        _write_quarantine(spark, tables, job)
    counts: dict[str, Any] = {name: table.counts for name, table in tables.items()}
    counts |= _summary(tables, job)
    counts["arrival_hours"] = {name: found.result() for name, found in hours.items()}
    counts |= {
        **items.catalog_counts(spark.read.schema(CATALOG).parquet(f"{job.out}/catalog")),
        "key_id": key_id(key),
        "night": job.night,
        "late_nights": job.late_nights,
        "windows": job.windows,
    }
    Path(job.out, "counts.json").write_text(json.dumps(counts, sort_keys=True, indent=1))
    return counts


def _classify(spark: SparkSession, job: IngestJob, key: bytes, work: Work) -> dict[str, Counted]:
    """The rows of each table; the clean and late ones and the catalogue are written."""
    raw_items = _read(spark, job, "items", (*job.text_fields, *job.attribute_fields))
    raw_impressions, sets = _read_impressions(spark, job)
    raw_feedback = _read(spark, job, "feedback")
    # Read from the files again: a row lost or doubled by a join would not show otherwise.
    raw_rows = {
        raw.table: work.start(count_rows, raw) for raw in (raw_items, raw_impressions, raw_feedback)
    }

    before = output.read(spark, job.folders("items", "catalog")[-1:], CATALOG)
    typed_items = items.typed(
        raw_items, job.clock, job.text_fields, job.attribute_fields, job.scrub_contacts
    )
    rows = work.keep(items.classify(typed_items))
    may_be_empty = before is not None
    scrubbed = [F.count_if("_scrubbed").alias("scrubbed")] if job.scrub_contacts else []
    number = raw_rows["items"].result()
    item_rows = _counted(raw_items, rows, number, job, may_be_empty, *scrubbed)
    _write(item_rows, "items", job, work)
    catalog = work.keep(items.catalog(_only(rows, CLEAN), before))
    work.start(output.write, catalog, f"{job.out}/catalog", CATALOG)

    estimated = job.propensity == "estimated"
    typed = impressions.typed(
        raw_impressions,
        job.clock,
        job.screening,
        key,
        estimated,
        job.forgotten,
        sets,
        job.scrub_contacts,
    )
    if raw_impressions.source.format != "parquet":
        # Text is parsed once; a column of Parquet is read again as fast as out of a cache.
        typed = work.keep(typed)
    rows = work.keep(
        impressions.classify(
            typed,
            catalog,
            _arrived(spark, job, "impressions"),
            job.late_nights,
            job.bot_requests_per_night,
            job.screening,
            work,
        )
    )
    nights = F.collect_set(F.col("night").cast("string")).alias("nights")
    users = F.count_distinct("user").alias("users")
    number = raw_rows["impressions"].result()
    facts = (nights, users, *scrubbed)
    impression_rows = _counted(raw_impressions, rows, number, job, False, *facts)
    _write(impression_rows, "impressions", job, work, typed)

    left_out = impressions.left_out(rows)
    work.start(output.write, left_out, f"{job.out}/left_out", LEFT_OUT)
    shown = _shown(spark, job, _only(rows, CLEAN), left_out)
    earlier = _arrived(spark, job, "feedback")
    typed_feedback = feedback.typed(raw_feedback, job.clock, job.screening)
    if job.forgotten.users:
        gone = job.forgotten.requests_of(rows)
        work.start(output.write, gone, f"{job.out}/forgotten", FORGOTTEN)
        typed_feedback = job.forgotten.without_requests(typed_feedback, gone)
    rows = work.keep(feedback.classify(typed_feedback, shown, earlier, job.windows))
    work.start(output.write, feedback.unread(rows, job.windows), f"{job.out}/unread", UNREAD)
    night = F.col("impression_night")
    read = F.col("event").isin(*job.windows) if job.windows else F.lit(False)
    nights = F.collect_set(F.when(read, night.cast("string"))).alias("nights")
    unattributed = F.count_if(night.isNull()).alias("unattributed")
    number = raw_rows["feedback"].result()
    feedback_rows = _counted(raw_feedback, rows, number, job, True, nights, unattributed)
    feedback_rows = replace(
        feedback_rows, facts=feedback_rows.facts | feedback.by_event(rows, job.windows)
    )
    _write(feedback_rows, "feedback", job, work)
    return {"items": item_rows, "impressions": impression_rows, "feedback": feedback_rows}


def _shown(spark: SparkSession, job: IngestJob, taken: DataFrame, left_out: DataFrame) -> DataFrame:
    """request_id, item_id, night and ``taken`` of tonight's impressions and of earlier ones.

    Impressions that validation stopped were shown all the same: their events are not lost ones.
    """
    stopped = [f"{p.folder}/impressions" for p in job.previous if "impressions" not in p.tables]
    apart = [f"{p.folder}/left_out" for p in job.previous]
    keys = ("request_id", "item_id", "night")
    parts = [
        (True, taken),
        (True, output.read(spark, job.folders("impressions"), SCHEMAS["impressions"])),
        (False, left_out),
        (False, output.read(spark, stopped, SCHEMAS["impressions"])),
        (False, output.read(spark, [f for f in apart if Path(f).exists()], LEFT_OUT)),
    ]
    marked = [
        part.select(*keys, F.lit(is_taken).alias("taken"))
        for is_taken, part in parts
        if part is not None
    ]
    return reduce(DataFrame.unionByName, marked)


def arrival_hours(rows: DataFrame, job: IngestJob) -> dict[str, int]:
    """Rows by the whole hours from the start of the arrival night to their ``ts``.

    Rows in quarantine count, rows whose time could not be read do not; hours more than two nights
    away count as the last of them.
    """
    start = F.lit(job.night).cast("date")
    hour = F.greatest(F.least(job.clock.hours_into(F.col("ts"), start), F.lit(71)), F.lit(-48))
    found = rows.filter("_row_like and ts is not null").groupBy(hour.alias("hour")).count()
    return {str(row["hour"]): row["count"] for row in sorted(found.collect())}


def _read(spark: SparkSession, job: IngestJob, table: str, more: Sequence[str] = ()) -> RawTable:
    wanted = [*RAW[table], *(RawField(n) for n in more if n not in {f.name for f in RAW[table]})]
    return read_raw(spark, table, job.tables[table], wanted, job.night)


def _read_impressions(spark: SparkSession, job: IngestJob) -> tuple[RawTable, RawTable | None]:
    """The impressions, and the candidate sets that they name, where they do."""
    if job.candidate_set_path is None:
        return _read(spark, job, "impressions"), None
    source = TableInput((job.candidate_set_path,), job.tables["impressions"].format)
    sets = read_raw(spark, "candidate_sets", source, CANDIDATE_SET, job.night)
    return _read(spark, job, "impressions", (CANDIDATE_SET_ID,)), sets


def _arrived(spark: SparkSession, job: IngestJob, table: str) -> DataFrame | None:
    """Clean and late rows of ``table`` of earlier nights."""
    late = [f for f in job.folders(table, f"late/{table}") if Path(f).exists()]
    folders = job.folders(table) + late
    return output.read(spark, folders, SCHEMAS[table])


def _only(rows: DataFrame, category: str) -> DataFrame:
    return rows.filter(F.col("_category") == category)


def _counted(
    raw: RawTable,
    rows: DataFrame,
    in_files: tuple[int, Column],
    job: IngestJob,
    may_be_empty: bool,
    *facts: Column,
) -> Counted:
    """Counts of one table, after its columns and the sum of its categories were checked."""
    number, line = in_files
    if number == 0 and not may_be_empty:
        raise InputError(
            f"{raw.where}: no rows at all. If the night really was empty, leave it out; else "
            f"check the log's delivery and the setting inputs.{raw.table}.path"
        )
    found = tally(rows, *facts)
    counts = found.counts | {"raw": number}
    seen = seen_columns(raw, found.mask)
    if number > counts[QUARANTINED].get("unparsable", 0):
        _check_columns(raw, seen, job)
    check_conservation(raw.where, counts)
    return Counted(raw, rows, counts, line, found.facts, frozenset(seen))


def _check_columns(raw: RawTable, seen: set[str], job: IngestJob) -> None:
    wanted = [f.name for f in RAW[raw.table] if f.required]
    if raw.table == "impressions" and job.propensity == "estimated":
        wanted.remove("propensity")
    if raw.table == "impressions" and job.candidate_set_path is not None:
        wanted = [*(n for n in wanted if n != "candidates"), CANDIDATE_SET_ID]
    require_columns(raw, wanted, seen)
    if raw.table == "items":
        known = seen | set(job.known_item_fields)
        items.require_fields(raw, job.text_fields, job.attribute_fields, known)


def _write(
    table: Counted, name: str, job: IngestJob, work: Work, typed: DataFrame | None = None
) -> None:
    """Write the clean and the late rows; those of ``typed``, where their category lies apart."""
    kinds = (CLEAN, LATE) if table.counts[LATE] else (CLEAN,)
    for kind in kinds:
        if typed is None:
            rows = _only(table.rows, kind)
        else:
            rows = of_category(typed, table.rows, kind, table.others)
        folder = f"{job.out}/{name}" if kind == CLEAN else f"{job.out}/{LATE}/{name}"
        work.start(output.write, rows, folder, SCHEMAS[name], table.files)


def _write_quarantine(spark: SparkSession, tables: dict[str, Counted], job: IngestJob) -> None:
    folder = Path(job.out, "quarantine")
    # Closed before a raw user identifier is in it.
    folder.mkdir(mode=0o700)
    rows = folder / "rows"
    # One at a time: the places of lines are counted by the partitions of their own scan.
    for name, table in tables.items():
        if table.counts[QUARANTINED]:
            for part in _quarantined(table, name, job):
                output.write(part, str(rows), QUARANTINE, table.files, append=True)
    if not rows.exists():
        output.write(spark.createDataFrame([], QUARANTINE), str(rows), QUARANTINE)
    output.make_private(folder)
    wanted = sum(sum(table.counts[QUARANTINED].values()) for table in tables.values())
    found = output.count_rows(rows)
    if found != wanted:
        raise RuntimeError(
            f"night {job.night}: {wanted} rows are quarantined, and {found} of them were found "
            "again in the files; nothing was published. Either the files changed meanwhile, or "
            "this is a fault of the ingest job"
        )


def _quarantined(table: Counted, name: str, job: IngestJob) -> list[DataFrame]:
    """The quarantined rows, their text read from the files again, in parts."""
    number = sum(table.counts[QUARANTINED].values())
    parts = 1 + number // _PLACES
    reasons = _only(table.rows, QUARANTINED).select(*AT, "_reason")
    found = []
    for i in range(parts):
        places = reasons.filter(F.pmod("_row", F.lit(parts)) == i)
        found.append(
            table.raw.texts.join(F.broadcast(places), [*AT]).select(
                F.lit(job.night).cast("date").alias("night"),
                F.lit(name).alias("table"),
                F.col("_reason").alias("reason"),
                F.col("_file").alias("file"),
                table.line.alias("line"),
                F.when(is_kept(F.col("_reason")), F.col("_raw")).alias("raw"),
            )
        )
    return found


def _summary(tables: dict[str, Counted], job: IngestJob) -> dict[str, Any]:
    """What the clean rows say of the night."""
    shown, events = tables["impressions"].facts, tables["feedback"].facts
    nights = {*shown.get("nights", []), *events.get("nights", [])}
    scrubbed = {n: tables[n].facts.get("scrubbed", 0) for n in ("impressions", "items")}
    item_fields = {*job.text_fields, *job.attribute_fields} & tables["items"].seen
    return {
        **({"scrubbed": scrubbed} if job.scrub_contacts else {}),
        "reopened": sorted(n for n in nights if n < job.night),
        "unattributed": events.get("unattributed", 0),
        "users": shown.get("users", 0),
        "events": events.get("events", {}),
        "late_events": events.get("late_events", {}),
        "item_fields": sorted({*job.known_item_fields, *item_fields}),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job in the JSON file that the first argument names; counts go to standard output."""
    from spark_jobs.session import spark_session

    (path,) = sys.argv[1:] if argv is None else argv
    job = IngestJob.from_json(Path(path).read_text())
    counts = run(spark_session(), job)
    sys.stdout.write(json.dumps(counts, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
