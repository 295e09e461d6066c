"""Raw files as rows of fields, each with its place; the text of a row is read again where needed.

JSON lines and CSV are read as lines, so that a broken row has a text and a line number. Lists and
maps have their type here. Times and numbers of Parquet have the type that they have there; every
other field is text, and ``fields`` gives it a type. Where settings name paths into nested rows,
several rows a line, or one place for all nights, ``row_shape`` makes the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.errors import InputError
from spark_jobs.contract.log_contract import RawField
from spark_jobs.contract.schemas import RAW_TYPES
from spark_jobs.reading import fields
from spark_jobs.reading.row_shape import ROWS_A_LINE, row_fields
from spark_jobs.reading.table_files import (
    FilesAlike,
    TableInput,
    cannot_read,
    files_alike,
    text_lines,
)

# How the rows lie in the files: sorting by these gives the order of reading.
PLACE = ("_file", "_block", "_row")
# By which a row is found again; two nights may name the same file.
AT = ("arrival", "_file_id", "_row")
# What stays with a row once its fields have their types.
CARRIED = ("_row_like", "_present", *AT)
_CORRUPT = "_corrupt"
_JOINABLE = ("request_id", "event_id", "session_id")


@dataclass(frozen=True)
class RawTable:
    """What was read.

    Attributes:
        table: name of the table in the contract.
        sources: arrival night, ISO date, to where its rows came from; oldest first.
        fields: the contract columns that were read, each a column of ``rows``.
        rows: the fields, ``PLACE``, ``AT`` and four marks. ``arrival`` is the arrival night, date;
            ``_row_like`` is false for a blank line or a CSV header, ``_corrupt`` is true where the
            text could not be parsed, ``_malformed`` where a list or map is something else, bit i of
            ``_present`` is set where field i is not null.
        texts: ``_raw``, the text of each row, and its ``PLACE`` and ``AT``; of Parquet, its columns
            as JSON. It goes straight into the quarantine: raw text and raw user ids pass no shuffle
            and no cache.
        columns: night to all columns of its input, None where only its rows tell (JSON).
        lines: ``PLACE`` and ``arrival`` of every line, where a line is not one row; ``_row`` of
            ``rows`` and ``texts`` is then ``ROWS_A_LINE`` times that of the line, and on.
    """

    table: str
    sources: Mapping[str, TableInput]
    fields: tuple[RawField, ...]
    rows: DataFrame
    texts: DataFrame
    columns: Mapping[str, frozenset[str] | None]
    lines: DataFrame | None = None

    @property
    def joined(self) -> frozenset[str]:
        """Ids that are put together of several columns: of a user's, it may be."""
        found = {
            name
            for source in self.sources.values()
            for name, parts in source.columns.items()
            if name in _JOINABLE and not isinstance(parts, str)
        }
        told = any(source.shape.events for source in self.sources.values())
        return frozenset(found | ({"event_id"} if told else set()))

    def where(self, night: str) -> str:
        """The table, night and files, for messages."""
        return f"{self.table} of night {night} ({', '.join(self.sources[night].paths)})"


def read_raw(
    spark: SparkSession, table: str, sources: Mapping[str, TableInput], wanted: Sequence[RawField]
) -> RawTable:
    """Read one table of every night; a column that the files of a night lack is all null.

    Nights whose files look alike are read together, whatever their number.

    Args:
        spark: the session.
        table: name in the contract.
        sources: arrival night, ISO date, to its files.
        wanted: columns to read.

    Raises:
        InputError: a path does not exist, the files cannot be read, or CSV headers of a night
            differ.
    """
    wanted = tuple({f.name: f for f in wanted}.values())
    parts: list[_Read] = []
    columns: dict[str, frozenset[str] | None] = {}
    for alike in files_alike(spark, table, sources):
        try:
            part = _read(spark, alike, wanted)
        except AnalysisException as error:
            raise cannot_read(table, alike.nights[0], alike.source, error) from error
        parts.append(part)
        columns |= dict.fromkeys(alike.nights, part.columns)
    shaped = [part.lines for part in parts if part.lines is not None]
    return RawTable(
        table,
        dict(sources),
        wanted,
        reduce(DataFrame.unionByName, [part.rows for part in parts]),
        reduce(DataFrame.unionByName, [part.texts for part in parts]),
        columns,
        reduce(DataFrame.unionByName, shaped) if shaped else None,
    )


@dataclass(frozen=True)
class _Read:
    """What ``RawTable`` has of nights that were read together."""

    rows: DataFrame
    texts: DataFrame
    columns: frozenset[str] | None
    lines: DataFrame | None = None


def _read(spark: SparkSession, alike: FilesAlike, wanted: Sequence[RawField]) -> _Read:
    source = alike.source
    if not source.paths:
        texts = _no_lines(spark)
        return _Read(_json(texts, source, wanted), texts, frozenset())
    if source.shaped:
        return _shaped(spark, alike, wanted)
    if source.format == "parquet":
        return _parquet(spark, alike, wanted)
    texts = _lines(spark, alike)
    if source.format == "csv":
        return _Read(_csv(texts, alike, wanted), texts, alike.columns)
    return _Read(_json(texts, source, wanted), texts, None)


def require_columns(
    raw: RawTable, night: str, required: Sequence[str], seen: AbstractSet[str]
) -> None:
    """Refuse a night's input that lacks a ``required`` or a mapped column in every row.

    ``seen`` are the columns with at least one value: only the others are looked for.

    Raises:
        InputError: naming the column, the columns found, and the setting to change.
    """
    names = [f.name for f in raw.fields]
    source = raw.sources[night]
    needed = [n for n in names if n in required or n in source.columns]
    suspects = [n for n in needed if n not in seen]
    if not suspects:
        return
    found = columns_found(raw, night)
    for name in suspects:
        if name in required and source.shaped:
            raise InputError(
                f"{raw.where(night)}: no row has a value at {source.name(name)!r}, which is needed "
                f"as {name!r}; the columns found are {', '.join(sorted(found)) or 'none'}. Correct "
                f"inputs.{raw.table}.columns"
            )
        if source.name(name) not in found and not source.shaped:
            raise InputError(
                f"{raw.where(night)}: no row has the column {source.name(name)!r}, which is needed "
                f"as {name!r}; the columns found are {', '.join(sorted(found)) or 'none'}. If it "
                f'has another name, set inputs.{raw.table}.columns = {{ {name} = "its name" }}'
            )


def columns_found(raw: RawTable, night: str) -> frozenset[str]:
    """All columns of a night's input."""
    known = raw.columns[night]
    if known is not None:
        return known
    texts = raw.texts.filter(F.col("arrival") == F.to_date(F.lit(night)))
    keys = texts.select(F.explode(F.json_object_keys("_raw")).alias("key")).distinct()
    return frozenset(r.key for r in keys.collect())


def seen_columns(raw: RawTable, mask: int) -> set[str]:
    """The columns whose bit is set in ``mask``, the union of ``_present``."""
    return {f.name for i, f in enumerate(raw.fields) if mask >> i & 1}


def not_yet(raw: RawTable, clock: NightClock, until: str) -> RawTable:
    """The table, its rows of the time ``until`` and later marked as if they were empty lines.

    Rows whose time cannot be read have arrived.
    """
    later = clock.time_of(raw.rows, "ts") >= F.lit(until).cast("timestamp")
    here = F.col("_row_like") & ~F.coalesce(later, F.lit(False))
    return replace(raw, rows=raw.rows.withColumn("_row_like", here))


def count_rows(raw: RawTable) -> tuple[dict[str, int], Column]:
    """Rows in the files of each night, and for every row its line, or Parquet row, in its file.

    Lines count from 1.
    """
    rows = dict.fromkeys(raw.sources, 0)
    if raw.lines is not None:
        number = F.count_if("_row_like").alias("rows")
        for row in raw.rows.groupBy("arrival").agg(number).collect():
            rows[str(row["arrival"])] = row["rows"]
        blocks = raw.lines.groupBy("arrival", "_file", "_block").agg(
            F.count("*").alias("lines"), F.min("_row").alias("first")
        )
        return rows, _line(blocks.collect(), F.floor(F.col("_row") / ROWS_A_LINE))
    blocks = raw.rows.groupBy("arrival", "_file", "_block").agg(
        F.count_if("_row_like").alias("rows"),
        F.count("*").alias("lines"),
        F.min("_row").alias("first"),
    )
    # One block a file split: a list that fits on the driver whatever the size of the log.
    found = blocks.collect()
    for block in found:
        rows[str(block["arrival"])] += block["rows"]
    return rows, _line(found, F.col("_row"))


def _line(blocks: Sequence[Row], number: Column) -> Column:
    """The line in its file, from the number of a row as the reader counts them."""
    shifts, above, last = {}, 0, None
    for block in sorted(blocks, key=lambda b: (b["arrival"], b["_file"], b["_block"])):
        file = (block["arrival"], block["_file"])
        above = above if file == last else 0
        last = file
        shifts[f"{block['_block']} {block['_file']}"] = above + 1 - block["first"]
        above += block["lines"]
    if not shifts:
        return number
    place = F.concat_ws(" ", F.col("_block").cast("string"), "_file")
    known = F.create_map(*(F.lit(v) for shift in shifts.items() for v in shift))
    return number + known[place]


def _lines(spark: SparkSession, alike: FilesAlike) -> DataFrame:
    lines = text_lines(spark, alike.source.paths)
    return _identified(alike.with_arrival(spark, lines))


def _no_lines(spark: SparkSession) -> DataFrame:
    row = F.col("id").alias("_row")
    text = [F.lit("").alias("_raw"), F.lit("").alias("_file")]
    never = F.lit(None).cast("date").alias("arrival")
    block = F.lit(0).cast("long").alias("_block")
    return _identified(spark.range(0).select(*text, block, row, never))


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
        "arrival",
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


def _csv(lines: DataFrame, alike: FilesAlike, wanted: Sequence[RawField]) -> DataFrame:
    source, columns = alike.source, alike.columns
    record = F.col("_record")
    nothing = F.lit(None).cast("string")
    texts = {
        f.name: fields.text(record[source.name(f.name)])
        if source.name(f.name) in columns
        else nothing
        for f in wanted
    }
    typed, malformed = _typed_texts(texts, wanted)
    return _with_fields(
        lines.withColumn("_record", _csv_record(alike)),
        (F.trim("_raw") != "") & (F.col("_raw") != F.lit(alike.header)),
        record.isNull() | record[_CORRUPT].isNotNull(),
        typed,
        malformed,
    )


def _csv_record(alike: FilesAlike) -> Column:
    """The struct of a line."""
    names = [*alike.header_columns, _CORRUPT]
    ddl = ", ".join(f"`{c.replace('`', '``')}` STRING" for c in names)
    options = {"columnNameOfCorruptRecord": _CORRUPT, "mode": "PERMISSIVE", "escape": '"'}
    options["sep"] = alike.source.delimiter
    return F.from_csv("_raw", ddl, options)


def _shaped(spark: SparkSession, alike: FilesAlike, wanted: Sequence[RawField]) -> _Read:
    lines, columns = _records(spark, alike)
    shape = alike.source.shape
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
    sources = _quoted(alike.source, columns)
    values, malformed = row_fields(wanted, sources, shape)
    typed = _with_fields(rows, F.lit(True), F.col("_record").isNull(), values, malformed)
    texts = rows.select("_raw", *PLACE, *[name for name in AT if name not in PLACE])
    if shape.clock is not None and "ts" in values:
        typed = _of_night(typed, shape.clock)
    return _Read(typed, texts, columns, lines.select(*PLACE, "arrival"))


def _quoted(source: TableInput, columns: frozenset[str] | None) -> dict[str, str | tuple[str, ...]]:
    """The sources, those quoted that are the names of columns as they are."""

    def quoted(text: str) -> str:
        return f"`{text}`" if columns is not None and text in columns and "`" not in text else text

    return {
        name: quoted(found) if isinstance(found, str) else tuple(map(quoted, found))
        for name, found in source.columns.items()
    }


def _records(spark: SparkSession, alike: FilesAlike) -> tuple[DataFrame, frozenset[str] | None]:
    """Lines with ``_row_like`` and ``_record``, a variant, null where a line has none."""
    if alike.source.format == "parquet":
        records, kinds = _parquet_records(spark, alike)
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
    lines = _lines(spark, alike)
    there = F.trim("_raw") != ""
    if alike.source.format == "json":
        parsed = F.when(_alone() & F.ltrim("_raw").startswith("{"), F.try_parse_json("_raw"))
        return lines.withColumns({"_row_like": there, "_record": parsed}), None
    read = lines.withColumn("_cells", _csv_record(alike))
    cells = F.struct(*[fields.text(F.col("_cells")[c]).alias(c) for c in alike.header_columns])
    broken = F.col("_cells").isNull() | F.col("_cells")[_CORRUPT].isNotNull()
    lines = read.withColumns(
        {
            "_row_like": there & (F.col("_raw") != F.lit(alike.header)),
            "_record": F.when(~broken, F.to_variant_object(cells)),
        }
    )
    return lines.drop("_cells"), alike.columns


def _of_night(rows: DataFrame, clock: NightClock) -> DataFrame:
    """The rows whose time lies in their night; those without a time belong to the first of all."""
    of = clock.night(clock.time_of(rows, "ts"))
    placed = rows.withColumn("_of", of)
    first = placed.agg(F.min("_of").alias("_first"))
    wanted = F.col("arrival")
    lost = F.col("_of").isNull() & (F.coalesce("_first", wanted) == wanted)
    found = placed.crossJoin(F.broadcast(first))
    return found.filter((F.col("_of") == wanted) | lost).drop("_of", "_first")


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


def _parquet(spark: SparkSession, alike: FilesAlike, wanted: Sequence[RawField]) -> _Read:
    records, kinds = _parquet_records(spark, alike)
    values, malformed = {}, F.lit(False)
    for f in wanted:
        name = alike.source.name(f.name)
        if name not in kinds:
            values[f.name] = F.lit(None).cast(RAW_TYPES[f.kind])
            continue
        values[f.name], text = fields.of_type(F.col("_record")[name], kinds[name], f.kind)
        if text is not None:
            malformed = malformed | fields.bad(text, values[f.name])
    rows = _with_fields(records, F.lit(True), F.lit(False), values, malformed)
    texts = records.withColumn("_raw", F.to_json("_record")).drop("_record")
    return _Read(rows, texts, frozenset(kinds))


def _parquet_records(
    spark: SparkSession, alike: FilesAlike
) -> tuple[DataFrame, dict[str, t.DataType]]:
    """Rows as ``_record`` with their places; and the types of its columns."""
    table = spark.read.option("mergeSchema", "true").parquet(*alike.source.paths)
    record = F.struct(*[F.col(f"`{c}`") for c in table.columns])
    records = table.select(
        record.alias("_record"),
        F.col("_metadata.file_path").alias("_file"),
        F.lit(0).cast("long").alias("_block"),
        F.col("_metadata.row_index").alias("_row"),
    )
    kinds = {f.name: f.dataType for f in table.schema.fields}
    return _identified(alike.with_arrival(spark, records)), kinds
