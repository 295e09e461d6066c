"""Raw files as rows of fields, each with its place; the text of a row is read again where needed.

JSON lines and CSV are read as lines, so that a broken row has a text and a line number. Lists and
maps have their type here. Times and numbers of Parquet have the type that they have there; every
other field is text, and ``fields`` gives it a type.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from spark_jobs import fields
from spark_jobs.errors import InputError
from spark_jobs.log_contract import RawField
from spark_jobs.schemas import RAW_TYPES

# How the rows lie in the files: sorting by these gives the order of reading.
PLACE = ("_file", "_block", "_row")
# The same in two numbers, by which a row is found again.
AT = ("_file_id", "_row")
# What stays with a row once its fields have their types.
CARRIED = ("_row_like", "_present", *AT)
_CORRUPT = "_corrupt"


@dataclass(frozen=True)
class TableInput:
    """Files of one raw table.

    Attributes:
        paths: files, folders or globs that Spark reads; none gives no rows.
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
        fields: the contract columns that were read, each a column of ``rows``.
        rows: the fields, ``PLACE``, ``_file_id`` and four marks. ``_row_like`` is false for a blank
            line or a CSV header, ``_corrupt`` is true where the text could not be parsed,
            ``_malformed`` where a list or map is something else, bit i of ``_present`` is set where
            field i is not null.
        texts: ``_raw``, the text of each row, and its ``PLACE`` and ``_file_id``; of Parquet, its
            columns as JSON. It goes straight into the quarantine: raw text and raw user ids pass no
            shuffle and no cache.
        columns: all columns of the input, None where only its rows tell (JSON).
    """

    table: str
    source: TableInput
    night: str
    fields: tuple[RawField, ...]
    rows: DataFrame
    texts: DataFrame
    columns: frozenset[str] | None

    @property
    def where(self) -> str:
        """The table, night and files, for messages."""
        return f"{self.table} of night {self.night} ({', '.join(self.source.paths)})"


def read_raw(
    spark: SparkSession, table: str, source: TableInput, wanted: Sequence[RawField], night: str
) -> RawTable:
    """Read the files of one table; a column that they lack is all null.

    Raises:
        InputError: a path does not exist, the files cannot be read, or CSV headers differ.
    """
    wanted = tuple({f.name: f for f in wanted}.values())
    columns: frozenset[str] | None = None
    try:
        if not source.paths:
            texts = _no_lines(spark)
            rows, columns = _json(texts, source, wanted), frozenset()
        elif source.format == "parquet":
            rows, texts, columns = _parquet(spark, source, wanted)
        elif source.format == "csv":
            texts = _lines(spark, source)
            rows, columns = _csv(texts, source, wanted, f"{table} of night {night}")
        else:
            texts = _lines(spark, source)
            rows = _json(texts, source, wanted)
    except AnalysisException as error:
        raise InputError(
            f"{table} of night {night}: cannot read {', '.join(source.paths)} as {source.format} "
            f"({error.getCondition()}). Check that the files have arrived, and the setting "
            f"inputs.{table}.path"
        ) from error
    return RawTable(table, source, night, wanted, rows, texts, columns)


def require_columns(raw: RawTable, required: Sequence[str], seen: set[str]) -> None:
    """Refuse an input that lacks a ``required`` or a mapped column in every row.

    ``seen`` are the columns with at least one value: only the others are looked for.

    Raises:
        InputError: naming the column, the columns found, and the setting to change.
    """
    names = [f.name for f in raw.fields]
    needed = [n for n in names if n in required or n in raw.source.columns]
    suspects = [n for n in needed if n not in seen]
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
    keys = raw.texts.select(F.explode(F.json_object_keys("_raw")).alias("key")).distinct()
    return frozenset(r.key for r in keys.collect())


def seen_columns(raw: RawTable, mask: int) -> set[str]:
    """The columns whose bit is set in ``mask``, the union of ``_present``."""
    return {f.name for i, f in enumerate(raw.fields) if mask >> i & 1}


def count_rows(raw: RawTable) -> tuple[int, Column]:
    """Rows in the files, and for every row its line, or Parquet row, in its file, from 1."""
    blocks = raw.rows.groupBy("_file", "_block").agg(
        F.count_if("_row_like").alias("rows"),
        F.count("*").alias("lines"),
        F.min("_row").alias("first"),
    )
    rows, shifts, above, last = 0, [], 0, None
    # One block a file split: a list that fits on the driver whatever the size of the log.
    for block in sorted(blocks.collect(), key=lambda b: (b["_file"], b["_block"])):
        above = above if block["_file"] == last else 0
        last = block["_file"]
        shifts += [F.lit(f"{block['_block']} {last}"), F.lit(above + 1 - block["first"])]
        above += block["lines"]
        rows += block["rows"]
    if not shifts:
        return rows, F.col("_row")
    place = F.concat_ws(" ", F.col("_block").cast("string"), "_file")
    return rows, F.col("_row") + F.create_map(*shifts)[place]


def _lines(spark: SparkSession, source: TableInput) -> DataFrame:
    marked = F.col("value").startswith("\ufeff")
    lines = spark.read.text(list(source.paths)).select(
        F.when(marked, F.substring("value", 2, 2**31 - 1)).otherwise(F.col("value")).alias("_raw"),
        F.col("_metadata.file_path").alias("_file"),
        F.col("_metadata.file_block_start").alias("_block"),
        # Increases within a block in the order of its lines, as the reader gives them.
        F.monotonically_increasing_id().alias("_row"),
    )
    return _identified(lines)


def _no_lines(spark: SparkSession) -> DataFrame:
    row = F.col("id").alias("_row")
    text = [F.lit("").alias("_raw"), F.lit("").alias("_file")]
    return _identified(spark.range(0).select(*text, F.lit(0).cast("long").alias("_block"), row))


def _identified(rows: DataFrame) -> DataFrame:
    return rows.withColumn("_file_id", F.xxhash64("_file"))


def _with_fields(
    rows: DataFrame,
    row_like: Column,
    corrupt: Column,
    values: dict[str, Column],
    malformed: Column | None = None,
) -> DataFrame:
    """``PLACE``, marks and the values; without ``malformed``, corrupt rows tell by themselves.

    A broken JSON line leaves no field at all; a list or map of another type leaves the others.
    """
    named = rows.select(
        *PLACE,
        "_file_id",
        row_like.alias("_row_like"),
        corrupt.alias("_unread"),
        (F.lit(False) if malformed is None else malformed).alias("_misread"),
        *[value.alias(name) for name, value in values.items()],
    )
    present = F.lit(0).cast("long")
    for i, name in enumerate(values):
        present = present.bitwiseOR(F.when(F.col(name).isNotNull(), 1 << i).otherwise(0))
    flagged = named.withColumn("_present", present)
    nothing = F.col("_present") == 0 if malformed is None else F.lit(True)
    return flagged.withColumns(
        {
            "_corrupt": F.col("_unread") & nothing,
            "_malformed": F.col("_misread") | (F.col("_unread") & ~nothing),
        }
    ).drop("_unread", "_misread")


def _json(lines: DataFrame, source: TableInput, wanted: Sequence[RawField]) -> DataFrame:
    schema = t.StructType(
        [t.StructField(source.name(f.name), RAW_TYPES[f.kind]) for f in wanted]
        + [t.StructField(_CORRUPT, t.StringType())]
    )
    parsed = F.from_json("_raw", schema, {"columnNameOfCorruptRecord": _CORRUPT})
    # The parser stops after the first object: a line that lost its end would lose the second row.
    alone = F.json_array_length(F.concat(F.lit("["), "_raw", F.lit(",0]"))) == 2
    record = F.col("_record")
    read = {f.name: record[source.name(f.name)] for f in wanted}
    return _with_fields(
        lines.withColumn("_record", F.when(alone, parsed)),
        F.trim("_raw") != "",
        record.isNull() | record[_CORRUPT].isNotNull(),
        {f.name: fields.text(read[f.name]) if f.scalar else read[f.name] for f in wanted},
    )


def _csv(
    lines: DataFrame, source: TableInput, wanted: Sequence[RawField], where: str
) -> tuple[DataFrame, frozenset[str]]:
    heads = _first_lines(lines)
    if len(heads) > 1:
        raise InputError(
            f"{where}: the files of {', '.join(source.paths)} have different header lines: "
            f"{' / '.join(sorted(heads))}"
        )
    header = heads[0] if heads else ""
    columns = next(csv.reader([header]), [])
    ddl = ", ".join(f"`{c.replace('`', '``')}` STRING" for c in [*columns, _CORRUPT])
    options = {"columnNameOfCorruptRecord": _CORRUPT, "mode": "PERMISSIVE", "escape": '"'}
    record = F.col("_record")
    nothing = F.lit(None).cast("string")
    texts = {
        f.name: fields.text(record[source.name(f.name)])
        if source.name(f.name) in columns
        else nothing
        for f in wanted
    }
    typed, malformed = _typed_texts(texts, wanted)
    rows = _with_fields(
        lines.withColumn("_record", F.from_csv("_raw", ddl, options)),
        (F.trim("_raw") != "") & (F.col("_raw") != F.lit(header)),
        record.isNull() | record[_CORRUPT].isNotNull(),
        typed,
        malformed,
    )
    return rows, frozenset(columns)


def _first_lines(lines: DataFrame) -> list[str]:
    """The different first lines of files; only their hashes are compared in a shuffle.

    A file without a header line has a row of somebody's there.
    """
    starts = lines.filter(F.col("_block") == 0)
    hashed = starts.groupBy("_file").agg(F.min_by(F.xxhash64("_raw"), "_row").alias("_hash"))
    files = {row["_hash"]: row["_file"] for row in sorted(hashed.collect())}
    texts = [starts.filter(F.col("_file") == f).select("_raw").first() for f in files.values()]
    return [row["_raw"] for row in texts if row is not None]


def _typed_texts(
    texts: dict[str, Column], wanted: Sequence[RawField]
) -> tuple[dict[str, Column], Column]:
    values, malformed = dict(texts), F.lit(False)
    for f in wanted:
        if not f.scalar:
            values[f.name] = fields.from_text(texts[f.name], f.kind)
            malformed = malformed | fields.bad(texts[f.name], values[f.name])
    return values, malformed


def _parquet(
    spark: SparkSession, source: TableInput, wanted: Sequence[RawField]
) -> tuple[DataFrame, DataFrame, frozenset[str]]:
    table = spark.read.option("mergeSchema", "true").parquet(*source.paths)
    record = F.struct(*[F.col(f"`{c}`") for c in table.columns])
    records = _identified(
        table.select(
            record.alias("_record"),
            F.col("_metadata.file_path").alias("_file"),
            F.lit(0).cast("long").alias("_block"),
            F.col("_metadata.row_index").alias("_row"),
        )
    )
    kinds = {f.name: f.dataType for f in table.schema.fields}
    values, malformed = {}, F.lit(False)
    for f in wanted:
        name = source.name(f.name)
        if name not in kinds:
            values[f.name] = F.lit(None).cast(RAW_TYPES[f.kind])
            continue
        values[f.name], text = fields.of_type(F.col("_record")[name], kinds[name], f.kind)
        if text is not None:
            malformed = malformed | fields.bad(text, values[f.name])
    rows = _with_fields(records, F.lit(True), F.lit(False), values, malformed)
    texts = records.withColumn("_raw", F.to_json("_record")).drop("_record")
    return rows, texts, frozenset(table.columns)
