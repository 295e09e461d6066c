"""What is found of each table: its rows by category, counted against the raw ones."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_jobs.contract.errors import InputError
from spark_jobs.contract.log_contract import CANDIDATE_SET_ID, HISTORY, RAW
from spark_jobs.ingestion.ingest_job import IngestJob, Nights
from spark_jobs.reading.raw import RawTable, require_columns, seen_columns
from spark_jobs.tables import items
from spark_jobs.tables.categories import CLEAN, LATE, QUARANTINED, check_conservation, tally

# Fewer rows are written as one file each; of more, every task writes its own.
_MANY_ROWS = 200_000


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


def counted_table(
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


def only(rows: DataFrame, category: str) -> DataFrame:
    """The rows of one category."""
    return rows.filter(F.col("_category") == category)
