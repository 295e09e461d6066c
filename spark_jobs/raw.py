"""Raw files as rows of text fields, each with its raw text, file and place.

JSON lines and CSV are read as lines, so that a broken row keeps its text and its line number.
Every field is text here; ``fields`` gives it a type.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as t

from spark_jobs import fields
from spark_jobs.errors import InputError

# How the rows lie in the files: sorting by these gives the order of reading.
PLACE = ("_file", "_block", "_row")
META = ("_raw", "_row_like", "_corrupt", "_present", *PLACE)
_CORRUPT = "_corrupt"


@dataclass(frozen=True)
class TableInput:
    """Files of one raw table.

    Attributes:
        paths: files, folders or globs that Spark reads.
        format: of all of them; CSV has a header line, and one row a line.
        columns: contract name to name in the file, where they differ.
    """

    paths: tuple[str, ...]
    format: Literal["json", "csv", "parquet"] = "json"
    columns: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TableInput:
        """The inverse of ``dataclasses.asdict``."""
        return cls(**{**data, "paths": tuple(data["paths"])})

    def name(self, contract: str) -> str:
        """What the files call the contract's column."""
        return self.columns.get(contract, contract)


@dataclass(frozen=True)
class RawTable:
    """What was read.

    Attributes:
        table: name of the table in the contract.
        source: where it came from.
        night: arrival night, ISO date.
        names: the contract columns that were read, each a text column of ``rows``.
        rows: ``names`` and ``META``. ``_row_like`` is false for a blank line or a CSV header,
            ``_corrupt`` is true where the text could not be parsed, bit i of ``_present`` is set
            where column i of ``names`` is not null.
        columns: all columns of the input, None where only its rows tell (JSON).
    """

    table: str
    source: TableInput
    night: str
    names: tuple[str, ...]
    rows: DataFrame
    columns: frozenset[str] | None

    @property
    def separated(self) -> bool:
        """Whether lists may be written as ``A|B``."""
        return self.source.format == "csv"

    @property
    def where(self) -> str:
        """The table, night and files, for messages."""
        return f"{self.table} of night {self.night} ({', '.join(self.source.paths)})"


def read_raw(
    spark: SparkSession, table: str, source: TableInput, names: Sequence[str], night: str
) -> RawTable:
    """Read the files of one table; a column that they lack is all null.

    Raises:
        InputError: a path does not exist, the files cannot be read, or CSV headers differ.
    """
    names = tuple(dict.fromkeys(names))
    try:
        if source.format == "parquet":
            rows, columns = _parquet(spark, source, names)
        elif source.format == "csv":
            rows, columns = _csv(_lines(spark, source), source, names, f"{table} of night {night}")
        else:
            rows, columns = _json(_lines(spark, source), source, names), None
    except AnalysisException as error:
        raise InputError(
            f"{table} of night {night}: cannot read {', '.join(source.paths)} as {source.format} "
            f"({error.getCondition()}). Check that the files have arrived, and the setting "
            f"inputs.{table}.path"
        ) from error
    return RawTable(table, source, night, names, rows, columns)


def require_columns(raw: RawTable, wanted: Sequence[str], seen: set[str]) -> None:
    """Refuse an input that lacks a column of ``wanted`` or a mapped one in every row.

    ``seen`` are the columns with at least one value: only the others are looked for.

    Raises:
        InputError: naming the column, the columns found, and the setting to change.
    """
    suspects = [n for n in raw.names if n not in seen and (n in wanted or n in raw.source.columns)]
    if not suspects:
        return
    found = columns_found(raw)
    for name in suspects:
        if raw.source.name(name) not in found:
            raise InputError(
                f"{raw.where}: no row has the column {raw.source.name(name)!r}, which is needed "
                f"as {name!r}; the columns found are {', '.join(sorted(found)) or 'none'}. If it "
                f'has another name, set inputs.{raw.table}.columns = {{ {name} = "its name" }}'
            )


def columns_found(raw: RawTable) -> frozenset[str]:
    """All columns of the input."""
    if raw.columns is not None:
        return raw.columns
    keys = raw.rows.select(F.explode(F.json_object_keys("_raw")).alias("key")).distinct()
    return frozenset(r.key for r in keys.collect())


def seen_columns(raw: RawTable, mask: int) -> set[str]:
    """The columns whose bit is set in ``mask``, the union of ``_present``."""
    return {n for i, n in enumerate(raw.names) if mask >> i & 1}


def line_numbers(rows: DataFrame) -> DataFrame:
    """``rows`` with ``line``: the number of the line, or Parquet row, within its file, from 1.

    ``rows`` holds every line of the files.
    """
    blocks = rows.groupBy("_file", "_block").agg(
        F.min("_row").alias("_first"), F.count("*").alias("_lines")
    )
    earlier = Window.partitionBy("_file").orderBy("_block").rowsBetween(
        Window.unboundedPreceding, -1
    )
    above = F.coalesce(F.sum("_lines").over(earlier), F.lit(0))
    starts = blocks.select("_file", "_block", (above + 1 - F.col("_first")).alias("_shift"))
    joined = rows.join(F.broadcast(starts), ["_file", "_block"])
    return joined.withColumn("line", F.col("_row") + F.col("_shift"))


def _lines(spark: SparkSession, source: TableInput) -> DataFrame:
    return spark.read.text(list(source.paths)).select(
        F.regexp_replace("value", "^\ufeff", "").alias("_raw"),
        F.col("_metadata.file_path").alias("_file"),
        F.col("_metadata.file_block_start").alias("_block"),
        # Increases within a block in the order of its lines, as the reader gives them.
        F.monotonically_increasing_id().alias("_row"),
    )


def _with_fields(
    rows: DataFrame, row_like: Column, corrupt: Column, texts: dict[str, Column]
) -> DataFrame:
    present = F.lit(0).cast("long")
    for i, name in enumerate(texts):
        present = present.bitwiseOR(F.when(F.col(name).isNotNull(), 1 << i).otherwise(0))
    named = rows.select(
        "_raw",
        *PLACE,
        row_like.alias("_row_like"),
        corrupt.alias("_corrupt"),
        *[value.alias(name) for name, value in texts.items()],
    )
    return named.withColumn("_present", present)


def _json(lines: DataFrame, source: TableInput, names: Sequence[str]) -> DataFrame:
    columns = sorted({source.name(n) for n in names})
    schema = t.StructType([t.StructField(c, t.StringType()) for c in [*columns, _CORRUPT]])
    parsed = F.from_json("_raw", schema, {"columnNameOfCorruptRecord": _CORRUPT})
    record = F.col("_record")
    return _with_fields(
        lines.withColumn("_record", parsed),
        F.trim("_raw") != "",
        record.isNull() | record[_CORRUPT].isNotNull(),
        {n: fields.text(record[source.name(n)]) for n in names},
    )


def _csv(
    lines: DataFrame, source: TableInput, names: Sequence[str], where: str
) -> tuple[DataFrame, frozenset[str]]:
    first = lines.filter(F.col("_block") == 0).groupBy("_file")
    heads = [r["_raw"] for r in first.agg(F.min_by("_raw", "_row").alias("_raw")).collect()]
    if len(set(heads)) > 1:
        raise InputError(
            f"{where}: the files of {', '.join(source.paths)} have different header lines: "
            f"{' / '.join(sorted(set(heads)))}"
        )
    header = heads[0] if heads else ""
    columns = next(csv.reader([header]), [])
    ddl = ", ".join(f"`{c.replace('`', '``')}` STRING" for c in [*columns, _CORRUPT])
    options = {"columnNameOfCorruptRecord": _CORRUPT, "mode": "PERMISSIVE", "escape": '"'}
    record = F.col("_record")
    rows = _with_fields(
        lines.withColumn("_record", F.from_csv("_raw", ddl, options)),
        (F.trim("_raw") != "") & (F.col("_raw") != F.lit(header)),
        record.isNull() | record[_CORRUPT].isNotNull(),
        {
            n: fields.text(record[source.name(n)])
            if source.name(n) in columns
            else F.lit(None).cast("string")
            for n in names
        },
    )
    return rows, frozenset(columns)


def _parquet(
    spark: SparkSession, source: TableInput, names: Sequence[str]
) -> tuple[DataFrame, frozenset[str]]:
    table = spark.read.option("mergeSchema", "true").parquet(*source.paths)
    kinds = {f.name: f.dataType for f in table.schema.fields}
    rows = table.select(
        F.struct(*[F.col(f"`{c}`") for c in table.columns]).alias("_record"),
        F.col("_metadata.file_path").alias("_file"),
        F.lit(0).cast("long").alias("_block"),
        F.col("_metadata.row_index").alias("_row"),
    ).withColumn("_raw", F.to_json("_record"))
    texts = {}
    for name in names:
        kind = kinds.get(source.name(name))
        value = F.col("_record")[source.name(name)] if kind else F.lit(None)
        nested = isinstance(kind, t.ArrayType | t.MapType | t.StructType)
        texts[name] = F.to_json(value) if nested else fields.text(value.cast("string"))
    return _with_fields(rows, F.lit(True), F.lit(False), texts), frozenset(table.columns)
