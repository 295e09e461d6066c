"""Raw files as rows of fields, each with its place; the text of a row is read again where needed.

JSON lines and CSV are read as lines, so that a broken row has a text and a line number. Lists and
maps have their type here. Times and numbers of Parquet have the type that they have there; every
other field is text, and ``fields`` gives it a type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import reduce

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as t

from spark_jobs import fields
from spark_jobs.errors import InputError
from spark_jobs.log_contract import RawField
from spark_jobs.raw_files import FilesAlike, TableInput, cannot_read, csv_columns, files_alike
from spark_jobs.schemas import RAW_TYPES

# How the rows lie in the files: sorting by these gives the order of reading.
PLACE = ("_file", "_block", "_row")
# By which a row is found again; two nights may name the same file.
AT = ("arrival", "_file_id", "_row")
# What stays with a row once its fields have their types.
CARRIED = ("_row_like", "_present", *AT)
_CORRUPT = "_corrupt"


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
    """

    table: str
    sources: Mapping[str, TableInput]
    fields: tuple[RawField, ...]
    rows: DataFrame
    texts: DataFrame
    columns: Mapping[str, frozenset[str] | None]

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
    parts, columns = [], dict[str, frozenset[str] | None]()
    for alike in files_alike(spark, table, sources):
        source = alike.source
        try:
            if not source.paths:
                texts = _no_lines(spark)
                rows, found = _json(texts, source, wanted), frozenset[str]()
            elif source.format == "parquet":
                rows, texts, found = _parquet(spark, alike, wanted)
            elif source.format == "csv":
                texts = _lines(spark, alike)
                rows, found = _csv(texts, source, wanted, alike.header), alike.columns
            else:
                texts = _lines(spark, alike)
                rows, found = _json(texts, source, wanted), None
        except AnalysisException as error:
            raise cannot_read(table, alike.nights[0], source, error) from error
        parts.append((rows, texts))
        columns |= dict.fromkeys(alike.nights, found)
    rows, texts = (reduce(DataFrame.unionByName, side) for side in zip(*parts, strict=True))
    return RawTable(table, dict(sources), wanted, rows, texts, columns)


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
        if source.name(name) not in found:
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


def count_rows(raw: RawTable) -> tuple[dict[str, int], Column]:
    """Rows in the files of each night, and for every row its line, or Parquet row, in its file.

    Lines count from 1.
    """
    blocks = raw.rows.groupBy("arrival", "_file", "_block").agg(
        F.count_if("_row_like").alias("rows"),
        F.count("*").alias("lines"),
        F.min("_row").alias("first"),
    )
    rows = dict.fromkeys(raw.sources, 0)
    shifts, above, last = {}, 0, None
    # One block a file split: a list that fits on the driver whatever the size of the log.
    for block in sorted(blocks.collect(), key=lambda b: (b["arrival"], b["_file"], b["_block"])):
        file = (block["arrival"], block["_file"])
        above = above if file == last else 0
        last = file
        shifts[f"{block['_block']} {block['_file']}"] = above + 1 - block["first"]
        above += block["lines"]
        rows[str(block["arrival"])] += block["rows"]
    if not shifts:
        return rows, F.col("_row")
    place = F.concat_ws(" ", F.col("_block").cast("string"), "_file")
    known = F.create_map(*(F.lit(v) for shift in shifts.items() for v in shift))
    return rows, F.col("_row") + known[place]


def _lines(spark: SparkSession, alike: FilesAlike) -> DataFrame:
    marked = F.col("value").startswith("\ufeff")
    # No column comes from the name of a folder, and files beside such folders are read too.
    reader = spark.read.option("recursiveFileLookup", "true")
    lines = reader.text(list(alike.source.paths)).select(
        F.when(marked, F.substring("value", 2, 2**31 - 1)).otherwise(F.col("value")).alias("_raw"),
        F.col("_metadata.file_path").alias("_file"),
        F.col("_metadata.file_block_start").alias("_block"),
        # Increases within a block in the order of its lines, as the reader gives them.
        F.monotonically_increasing_id().alias("_row"),
    )
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
    lines: DataFrame, source: TableInput, wanted: Sequence[RawField], header: str
) -> DataFrame:
    columns = csv_columns(header)
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
    return _with_fields(
        lines.withColumn("_record", F.from_csv("_raw", ddl, options)),
        (F.trim("_raw") != "") & (F.col("_raw") != F.lit(header)),
        record.isNull() | record[_CORRUPT].isNotNull(),
        typed,
        malformed,
    )


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
    spark: SparkSession, alike: FilesAlike, wanted: Sequence[RawField]
) -> tuple[DataFrame, DataFrame, frozenset[str]]:
    source = alike.source
    table = spark.read.option("mergeSchema", "true").parquet(*source.paths)
    record = F.struct(*[F.col(f"`{c}`") for c in table.columns])
    records = table.select(
        record.alias("_record"),
        F.col("_metadata.file_path").alias("_file"),
        F.lit(0).cast("long").alias("_block"),
        F.col("_metadata.row_index").alias("_row"),
    )
    records = _identified(alike.with_arrival(spark, records))
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
