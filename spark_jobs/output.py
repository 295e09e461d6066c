"""Reading and writing the tables of the jobs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t


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
    # Their values hardly ever come again: to look for them in a dictionary doubles the time.
    plain = "parquet.enable.dictionary#candidate_propensities.list.element"
    writer.option(plain, "false").parquet(folder)


def read(spark: SparkSession, folders: Sequence[str], schema: t.StructType) -> DataFrame | None:
    """The rows of all folders; None where there are no folders."""
    return spark.read.schema(schema).parquet(*folders) if folders else None


def count_rows(folder: Path) -> int:
    """Rows in the Parquet files of a folder, by what the files say of themselves."""
    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))


def make_private(folder: Path) -> None:
    """Mode 0700 for the folder and all below it, 0600 for files."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
