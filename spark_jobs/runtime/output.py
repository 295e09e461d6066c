"""Reading and writing the tables of the jobs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from spark_jobs.runtime.session import is_small

_NIGHT = "_arrival_night"


def replace_folder(path: str) -> Path:
    """An empty folder at ``path``; what was there is removed."""
    folder = Path(path)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def write(
    rows: DataFrame,
    folder: str,
    schema: t.StructType,
    files: int | None = 1,
    append: bool = False,
) -> None:
    """Write the columns of ``schema``, and no other, as Parquet files.

    Args:
        rows: to write.
        folder: replaced, or added to.
        schema: of the files.
        files: so many, by so many tasks; None: one a task, however many tasks there are.
        append: whether what is there stays.
    """
    chosen = rows.select(*schema.names).to(schema)
    if files is not None:
        chosen = chosen.coalesce(files)
    writer = chosen.write.mode("append" if append else "overwrite")
    _plain_lists(writer).parquet(folder)


def write_nights(
    rows: DataFrame,
    places: Mapping[str, str],
    schema: t.StructType,
    files: int | None = None,
    append: bool = False,
) -> None:
    """Write the rows of each arrival night to a folder of its own, in one pass.

    Args:
        rows: the columns of ``schema``, and ``arrival``.
        places: arrival night, ISO date, to its folder; no row has another one.
        schema: of the files.
        files: see ``write``; of a night. A small session writes one, where it is None.
        append: whether what is there stays.
    """
    if files is None and is_small(rows.sparkSession):
        # To open and close a file costs more than to write its few rows.
        files = 1
    if len(places) == 1:
        (place,) = places.values()
        write(rows, place, schema, files, append)
        return
    chosen = rows.select(*schema.names, F.col("arrival").cast("string").alias(_NIGHT))
    if files is not None:
        chosen = chosen.coalesce(files)
    _write_apart(chosen, places, schema, append)


def write_sorted(
    rows: DataFrame,
    night: str,
    places: Mapping[str, str],
    schema: t.StructType,
    order: Sequence[str],
) -> None:
    """Write the rows of each night to a folder of its own, one sorted file each, in one pass.

    Args:
        rows: the columns of ``schema``, and their night.
        night: name of that column.
        places: night, ISO date, to its folder; no row has another one.
        schema: of the files.
        order: columns of ``schema`` that the rows of a night are sorted by.
    """
    if len(places) == 1:
        (place,) = places.values()
        write(rows.coalesce(1).sortWithinPartitions(*order), place, schema)
        return
    named = F.col(night).cast("string").alias(_NIGHT)
    apart = t.StructType([*schema.fields, t.StructField(_NIGHT, t.StringType())])
    chosen = rows.select(*schema.names, named).to(apart)
    # A night's rows come to one task, and in the order in which the writer takes nights.
    gathered = chosen.repartition(len(places), _NIGHT).sortWithinPartitions(_NIGHT, *order)
    _write_apart(gathered, places, schema, append=False)


def _write_apart(
    rows: DataFrame, places: Mapping[str, str], schema: t.StructType, append: bool
) -> None:
    """Write the columns of ``schema`` of rows with ``_NIGHT`` to each night's place."""
    first = Path(min(places.values()))
    # A folder that is closed to others: it may be the quarantine that is written.
    apart = Path(tempfile.mkdtemp(prefix=".nights-", dir=_existing(first)))
    try:
        split = apart / "split"
        _plain_lists(rows.write.partitionBy(_NIGHT)).parquet(str(split))
        for night, place in places.items():
            mine = split / f"{_NIGHT}={night}"
            if not mine.exists():
                write(rows.limit(0), str(mine), schema)
            _move(mine, Path(place), append)
    finally:
        shutil.rmtree(apart, ignore_errors=True)


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _move(folder: Path, place: Path, append: bool) -> None:
    if append and place.exists():
        for file in folder.glob("*.parquet"):
            file.rename(place / file.name)
        return
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)


def _plain_lists(writer: DataFrameWriter) -> DataFrameWriter:
    """No dictionary of propensities: hardly any comes again, and looking doubles the time."""
    return writer.option("parquet.enable.dictionary#candidate_propensities.list.element", "false")


def read(spark: SparkSession, folders: Sequence[str], schema: t.StructType) -> DataFrame | None:
    """The rows of all folders; None where there are no folders."""
    return spark.read.schema(schema).parquet(*folders) if folders else None


def empty(spark: SparkSession, schema: t.StructType) -> DataFrame:
    """No rows; an empty list would start a Python of its own to be read."""
    columns = [F.lit(None).cast(f.dataType).alias(f.name) for f in schema.fields]
    return spark.range(0).select(*columns)


def count_rows(folder: Path) -> int:
    """Rows in the Parquet files of a folder, by what the files say of themselves."""
    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))


def make_private(folder: Path) -> None:
    """Mode 0700 for the folder and all below it, 0600 for files."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
