"""Where rows end: clean, late, in quarantine, and whom pseudonyms stand for."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.contract.schemas import CLEAN as SCHEMAS
from spark_jobs.contract.schemas import QUARANTINE, USER_IDS
from spark_jobs.ingestion.counted import Counted, only
from spark_jobs.ingestion.ingest_job import Nights
from spark_jobs.reading.raw import AT
from spark_jobs.runtime import output
from spark_jobs.runtime.work import Work
from spark_jobs.tables.categories import CLEAN, LATE, QUARANTINED, of_category
from spark_jobs.tables.forgotten_rows import is_kept
from spark_jobs.tables.pseudonyms import pseudonym

# Places of rows in quarantine that are broadcast at once: the text of rows passes no shuffle.
_PLACES = 1_000_000


def write_table(
    table: Counted, name: str, nights: Nights, work: Work, typed: DataFrame | None = None
) -> None:
    """Write the clean and the late rows; those of ``typed``, where their category lies apart."""
    late = table.with_late()
    for kind in (CLEAN, LATE) if late else (CLEAN,):
        if typed is None:
            rows = only(table.rows, kind)
        else:
            rows = of_category(typed, table.rows, kind, table.others)
        places = nights.places(name if kind == CLEAN else f"{LATE}/{name}")
        if kind == LATE:
            places = {night: places[night] for night in late}
        work.start(output.write_nights, rows, places, SCHEMAS[name], table.files)


def write_quarantine(spark: SparkSession, tables: dict[str, Counted], nights: Nights) -> None:
    """Write the rows in quarantine, with their text.

    Raises:
        RuntimeError: not as many were found again in the files as were counted.
    """
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


def write_user_ids(impressions: Counted, nights: Nights, key: bytes) -> None:
    """Write whom the pseudonyms of clean impressions stand for: one row a user and night.

    An id is read again where the user was first seen: it passes no shuffle.
    """
    for folder in nights.places("user_ids").values():
        Path(folder).mkdir(mode=0o700)
    places = nights.places("user_ids/rows")
    one = (
        only(impressions.rows, CLEAN)
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
    reasons = only(table.rows, QUARANTINED).select(*AT, "_reason")
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
