"""The files of one raw table, by night, and which of them are read together."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_jobs.contract.errors import InputError
from spark_jobs.reading.row_shape import RowShape
from spark_jobs.reading.sources import parse_source


@dataclass(frozen=True)
class TableInput:
    """Files of one raw table.

    Attributes:
        paths: files, folders or globs that Spark reads; none gives no rows.
        format: of all of them; CSV has a header line, and one row a line.
        columns: contract name to its source in the file (``sources``), where it has not
            the same name; several are joined.
        delimiter: of CSV.
        shape: what makes rows out of lines.
    """

    paths: tuple[str, ...]
    format: Literal["json", "csv", "parquet"] = "json"
    columns: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    delimiter: str = ","
    shape: RowShape = field(default_factory=RowShape)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TableInput:
        """The inverse of ``dataclasses.asdict``."""
        shape = RowShape.from_dict(data["shape"]) if "shape" in data else RowShape()
        columns = {n: s if isinstance(s, str) else tuple(s) for n, s in data["columns"].items()}
        return cls(**{**data, "paths": tuple(data["paths"]), "shape": shape, "columns": columns})

    def name(self, contract: str) -> str:
        """What the files call the contract's column, or how its sources are written."""
        source = self.columns.get(contract, contract)
        if not isinstance(source, str):
            return ", ".join(source)
        plain = contract in self.columns and parse_source(source)
        return plain.path[0].name if plain and plain.plain else source

    @property
    def shaped(self) -> bool:
        """Whether a row is more than the columns of a line."""
        sources = self.columns.values()
        plain = all(isinstance(s, str) and parse_source(s).plain for s in sources)
        return not plain or self.shape != RowShape()


@dataclass(frozen=True)
class FilesAlike:
    """Files of one or more nights that one scan reads.

    Attributes:
        source: all of them.
        nights: whose they are, ISO dates.
        files: night to its files as Spark names them; empty where there is one night.
        header: of CSV files.
    """

    source: TableInput
    nights: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    header: str = ""

    @property
    def header_columns(self) -> list[str]:
        """The names in the header of CSV files; one without a name has that which Spark gives."""
        named = next(csv.reader([self.header], delimiter=self.source.delimiter), [])
        return [name.strip() or f"_c{i}" for i, name in enumerate(named)]

    @property
    def columns(self) -> frozenset[str]:
        """Those of the header."""
        return frozenset(self.header_columns)

    def with_arrival(self, spark: SparkSession, rows: DataFrame) -> DataFrame:
        """``rows`` with ``arrival``, the night of their ``_file``; once for each night of it."""
        if len(self.nights) == 1:
            return rows.withColumn("arrival", F.to_date(F.lit(self.nights[0])))
        named = [(s, n) for n, files in self.files.items() for f in files for s in _spellings(f)]
        files, nights = zip(*named, strict=True)
        # Of an Arrow table, where a list of rows would start a Python of its own to be read.
        places = spark.createDataFrame(pa.table({"_file": files, "arrival": nights}))
        places = places.withColumn("arrival", F.to_date("arrival"))
        return rows.join(F.broadcast(places), "_file")


def _local(file: str) -> str:
    return re.sub("^file:/+", "/", file)


def _spellings(file: str) -> list[str]:
    """Spark writes a local file as file:/place in one place and as file:///place in another."""
    place = _local(file)
    return [place, f"file:{place}", f"file://{place}"] if place.startswith("/") else [file]


def cannot_read(table: str, night: str, source: TableInput, error: AnalysisException) -> InputError:
    """What is said of files that Spark refuses."""
    return InputError(
        f"{table} of night {night}: cannot read {', '.join(source.paths)} as {source.format} "
        f"({error.getCondition()}). Check that the files have arrived, and the setting "
        f"inputs.{table}.path"
    )


def files_alike(
    spark: SparkSession, table: str, sources: Mapping[str, TableInput]
) -> list[FilesAlike]:
    """Nights whose files have one form: the same header of CSV, the same columns of Parquet.

    Raises:
        InputError: a path does not exist, or CSV headers of one night differ.
    """
    together: dict[object, list[tuple[str, tuple[str, ...], str]]] = {}
    several = len(sources) > 1
    for night, source in sources.items():
        try:
            files = _listed(spark, source) if several and source.paths else ()
            header = _header(spark, table, night, source) if source.format == "csv" else ""
        except AnalysisException as error:
            raise cannot_read(table, night, source, error) from error
        form: object = (source.format, repr(sorted(source.columns.items())), bool(source.paths))
        if source.format == "csv":
            form = (form, header)
        elif source.format == "parquet" and several:
            form = (form, _parquet_form(files))
        together.setdefault(form, []).append((night, files, header))
    found = []
    for members in together.values():
        nights = tuple(night for night, _, _ in members)
        paths = tuple(dict.fromkeys(p for n in nights for p in sources[n].paths))
        source = replace(sources[nights[0]], paths=paths)
        files_of = {n: files for n, files, _ in members} if len(nights) > 1 else {}
        found.append(FilesAlike(source, nights, files_of, members[0][2]))
    return found


def text_lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """The lines of text files, ``_raw``, and how they lie in them: ``_file``, ``_block``, ``_row``.

    A mark of the byte order is no part of the first line.
    """
    marked = F.col("value").startswith("\ufeff")
    return _texts(spark, paths).select(
        F.when(marked, F.substring("value", 2, 2**31 - 1)).otherwise(F.col("value")).alias("_raw"),
        F.col("_metadata.file_path").alias("_file"),
        F.col("_metadata.file_block_start").alias("_block"),
        # Increases within a block in the order of its lines, as the reader gives them.
        F.monotonically_increasing_id().alias("_row"),
    )


def _texts(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    # No column comes from the name of a folder, and files beside such folders are read too.
    return spark.read.option("recursiveFileLookup", "true").text(list(paths))


def _listed(spark: SparkSession, source: TableInput) -> tuple[str, ...]:
    return tuple(_texts(spark, source.paths).inputFiles())


def _header(spark: SparkSession, table: str, night: str, source: TableInput) -> str:
    """The header line of a night's CSV files."""
    if not source.paths:
        return ""
    found = sorted(_first_lines(text_lines(spark, source.paths).filter("_block = 0")))
    if len(found) > 1:
        raise InputError(
            f"{table} of night {night}: the files of {', '.join(source.paths)} have different "
            f"header lines: {' / '.join(found)}"
        )
    return found[0] if found else ""


def _first_lines(starts: DataFrame) -> list[str]:
    """The different first lines of files; only their hashes are compared in a shuffle.

    A file without a header line has a row of somebody's there.
    """
    hashed = starts.groupBy("_file").agg(F.min_by(F.xxhash64("_raw"), "_row").alias("_hash"))
    files = {row["_hash"]: row["_file"] for row in sorted(hashed.collect())}
    texts = [starts.filter(F.col("_file") == f).select("_raw").first() for f in files.values()]
    return [row["_raw"] for row in texts if row is not None]


def _parquet_form(files: Sequence[str]) -> frozenset[str]:
    """What tells apart the columns of Parquet files."""
    return frozenset(_parquet_schema(file).remove_metadata().to_string() for file in files)


def _parquet_schema(file: str) -> pa.Schema:
    if file.startswith("file:"):
        return pq.read_schema(unquote(_local(file)))
    filesystem, place = pafs.FileSystem.from_uri(file)
    return pq.read_schema(place, filesystem=filesystem)
