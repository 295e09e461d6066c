"""Raw files as rows of fields, each with its place; the text of a row is read again where needed.

JSON lines and CSV are read as lines, so that a broken row has a text and a line number. Lists and
maps have their type here. Times and numbers of Parquet have the type that they have there; every
other field is text, and ``fields`` gives it a type. Where settings name paths into nested rows,
several rows a line, or one place for all nights, ``row_shape`` makes the rows.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from spark_jobs import fields
from spark_jobs.clock import NightClock
from spark_jobs.errors import InputError
from spark_jobs.log_contract import RawField
from spark_jobs.row_shape import ROWS_A_LINE, RowShape, row_fields
from spark_jobs.schemas import RAW_TYPES
from spark_jobs.sources import parse_source

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
        columns: contract name to its source in the file (``spark_jobs.sources``), where it has not
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
        lines: ``PLACE`` of every line, where a line is not one row; ``_row`` of ``rows`` and
            ``texts`` is then ``ROWS_A_LINE`` times that of the line, and on.
    """

    table: str
    source: TableInput
    night: str
    fields: tuple[RawField, ...]
    rows: DataFrame
    texts: DataFrame
    columns: frozenset[str] | None
    lines: DataFrame | None = None

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
        if source.paths and source.shaped:
            return _shaped(spark, table, source, wanted, night)
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
        if name in required and raw.source.shaped:
            raise InputError(
                f"{raw.where}: no row has a value at {raw.source.name(name)!r}, which is needed as "
                f"{name!r}; the columns found are {', '.join(sorted(found)) or 'none'}. Correct "
                f"inputs.{raw.table}.columns"
            )
        if raw.source.name(name) not in found and not raw.source.shaped:
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
    if raw.lines is not None:
        return raw.rows.count(), _line_of(raw)
    blocks = raw.rows.groupBy("_file", "_block").agg(
        F.count_if("_row_like").alias("rows"),
        F.count("*").alias("lines"),
        F.min("_row").alias("first"),
    )
    # One block a file split: a list that fits on the driver whatever the size of the log.
    found = blocks.collect()
    return sum(block["rows"] for block in found), _line(found, F.col("_row"))


def _line_of(raw: RawTable) -> Column:
    assert raw.lines is not None  # noqa: S101 - asked for by its caller alone
    blocks = raw.lines.groupBy("_file", "_block").agg(
        F.count("*").alias("lines"), F.min("_row").alias("first")
    )
    return _line(blocks.collect(), F.floor(F.col("_row") / ROWS_A_LINE))


def _line(blocks: Sequence[Row], number: Column) -> Column:
    """The line in its file, from the number of a row as the reader counts them."""
    shifts, above, last = [], 0, None
    for block in sorted(blocks, key=lambda b: (b["_file"], b["_block"])):
        above = above if block["_file"] == last else 0
        last = block["_file"]
        shifts += [F.lit(f"{block['_block']} {last}"), F.lit(above + 1 - block["first"])]
        above += block["lines"]
    if not shifts:
        return number
    place = F.concat_ws(" ", F.col("_block").cast("string"), "_file")
    return number + F.create_map(*shifts)[place]


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
    # A line that lost its end would lose the second row.
    alone = _alone()
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
    header, columns, parsed = _csv_record(lines, source, where)
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
        lines.withColumn("_record", parsed),
        (F.trim("_raw") != "") & (F.col("_raw") != F.lit(header)),
        record.isNull() | record[_CORRUPT].isNotNull(),
        typed,
        malformed,
    )
    return rows, frozenset(columns)


def _csv_record(lines: DataFrame, source: TableInput, where: str) -> tuple[str, list[str], Column]:
    """The header line, its columns, and the struct of a line."""
    first = lines.filter(F.col("_block") == 0).groupBy("_file")
    heads = [r["_raw"] for r in first.agg(F.min_by("_raw", "_row").alias("_raw")).collect()]
    if len(set(heads)) > 1:
        raise InputError(
            f"{where}: the files of {', '.join(source.paths)} have different header lines: "
            f"{' / '.join(sorted(set(heads)))}"
        )
    header = heads[0] if heads else ""
    named = next(csv.reader([header], delimiter=source.delimiter), [])
    # A column without a name has that which Spark would give it.
    columns = [name.strip() or f"_c{i}" for i, name in enumerate(named)]
    ddl = ", ".join(f"`{c.replace('`', '``')}` STRING" for c in [*columns, _CORRUPT])
    options = {"columnNameOfCorruptRecord": _CORRUPT, "mode": "PERMISSIVE", "escape": '"'}
    options["sep"] = source.delimiter
    return header, columns, F.from_csv("_raw", ddl, options)


def _shaped(
    spark: SparkSession, table: str, source: TableInput, wanted: Sequence[RawField], night: str
) -> RawTable:
    lines, columns = _records(spark, source, f"{table} of night {night}")
    shape = source.shape
    taken = lines.filter(F.col("_row_like") & shape.taken())
    elements = shape.elements()
    if elements is None:
        rows = taken.withColumns(
            {"_element": F.lit(0), "_event": F.lit(None).cast("string"), "_of_line": F.lit(0)}
        )
    else:
        kept = list(taken.columns)
        rows = taken.select(*kept, F.posexplode(elements).alias("_of_line", "_of"))
        rows = rows.select(*kept, "_of_line", "_of._element", "_of._event")
    rows = rows.withColumn("_row", F.col("_row") * ROWS_A_LINE + F.col("_of_line"))
    sources = _quoted(source, columns)
    values, malformed = row_fields(wanted, sources, shape)
    typed = _with_fields(rows, F.lit(True), F.col("_record").isNull(), values, malformed)
    texts = rows.select("_raw", *PLACE, "_file_id")
    if shape.clock is not None and "ts" in values:
        typed = _of_night(typed, shape.clock, night)
    return RawTable(
        table, source, night, tuple(wanted), typed, texts, columns, lines.select(*PLACE)
    )


def _quoted(source: TableInput, columns: frozenset[str] | None) -> dict[str, str | tuple[str, ...]]:
    """The sources, those quoted that are the names of columns as they are."""

    def quoted(text: str) -> str:
        return f"`{text}`" if columns is not None and text in columns and "`" not in text else text

    return {
        name: quoted(found) if isinstance(found, str) else tuple(map(quoted, found))
        for name, found in source.columns.items()
    }


def _records(
    spark: SparkSession, source: TableInput, where: str
) -> tuple[DataFrame, frozenset[str] | None]:
    """Lines with ``_row_like`` and ``_record``, a variant, null where a line has none."""
    if source.format == "parquet":
        records, kinds = _parquet_records(spark, source)
        parts = [
            (
                fields.plain(F.col("_record")[n], k)
                if isinstance(k, t.TimestampType)
                else F.col("_record")[n]
            ).alias(n)
            for n, k in kinds.items()
        ]
        lines = records.withColumns(
            {
                "_raw": F.to_json("_record"),
                "_row_like": F.lit(True),
                "_record": F.to_variant_object(F.struct(*parts)),
            }
        )
        return lines, frozenset(kinds)
    lines = _lines(spark, source)
    there = F.trim("_raw") != ""
    if source.format == "json":
        parsed = F.when(_alone() & F.ltrim("_raw").startswith("{"), F.try_parse_json("_raw"))
        return lines.withColumns({"_row_like": there, "_record": parsed}), None
    header, columns, struct = _csv_record(lines, source, where)
    read = lines.withColumn("_cells", struct)
    cells = F.struct(*[fields.text(F.col("_cells")[c]).alias(c) for c in columns])
    broken = F.col("_cells").isNull() | F.col("_cells")[_CORRUPT].isNotNull()
    lines = read.withColumns(
        {
            "_row_like": there & (F.col("_raw") != F.lit(header)),
            "_record": F.when(~broken, F.to_variant_object(cells)),
        }
    )
    return lines.drop("_cells"), frozenset(columns)


def _of_night(rows: DataFrame, clock: NightClock, night: str) -> DataFrame:
    """The rows whose time lies in the night; those without a time belong to the first of all."""
    of = clock.night(clock.time_of(rows, "ts"))
    first = rows.agg(F.min(of).alias("_first"))
    wanted = F.lit(night).cast("date")
    placed = rows.withColumn("_of", of).crossJoin(F.broadcast(first))
    lost = F.col("_of").isNull() & (F.coalesce("_first", wanted) == wanted)
    return placed.filter((F.col("_of") == wanted) | lost).drop("_of", "_first")


def _alone() -> Column:
    """Whether a line is one JSON value: the parser stops after the first."""
    return F.json_array_length(F.concat(F.lit("["), "_raw", F.lit(",0]"))) == 2


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
    records, kinds = _parquet_records(spark, source)
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
    return rows, texts, frozenset(kinds)


def _parquet_records(
    spark: SparkSession, source: TableInput
) -> tuple[DataFrame, dict[str, t.DataType]]:
    """Rows as ``_record`` with their places; and the types of its columns."""
    table = spark.read.option("mergeSchema", "true").parquet(*source.paths)
    record = F.struct(*[F.col(f"`{c}`") for c in table.columns])
    records = table.select(
        record.alias("_record"),
        F.col("_metadata.file_path").alias("_file"),
        F.lit(0).cast("long").alias("_block"),
        F.col("_metadata.row_index").alias("_row"),
    )
    return _identified(records), {f.name: f.dataType for f in table.schema.fields}
