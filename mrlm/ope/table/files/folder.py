"""A folder of Parquet files as one table: the same columns everywhere, each of one type."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mrlm.ope.table.columns.cells import check_names, check_numbers
from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.files.file_error import FileError

MOST_FILES = 100_000

Schemas = Mapping[Path, pa.Schema]


def files_in(folder: Path) -> list[Path]:
    """The Parquet files in a folder and those below it, by name.

    Raises:
        ValueError: there is none, one of them is no regular file, or the folder has too many.
    """
    files: list[Path] = []
    seen = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        seen += len(names)
        if seen > MOST_FILES:
            raise FileError(folder, f"more than {MOST_FILES} files: is this the folder?")
        files += [Path(place) / name for name in names if name.endswith(".parquet")]
    if not files:
        raise FileError(folder, "no .parquet file in this folder")
    for file in files:
        if not file.is_file():
            raise FileError(file, "not a regular file; leave it out of the folder")
    return sorted(files)


def one_schema(files: Sequence[Path], round: str | None) -> pa.Schema:
    """What is read of every file; columns whose types differ get one type that holds them all.

    Numbers become float64; ids stay integers where all files can hold them so, and become text
    where one does.

    Raises:
        ValueError: a file is not Parquet, its columns are not those of the first file, or a column
            is of a wrong type; the file is named.
    """
    schemas = {file: _schema(file) for file in files}
    columns = _one_meaning(schemas, round)
    fields = []
    for name in columns.read:
        types = {file: schema.field(name).type for file, schema in schemas.items()}
        _check_types(types, name, columns)
        fields.append(pa.field(name, _common(list(types.values()), name in columns.numbers)))
    return pa.schema(fields)


def with_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with the columns of a schema, in its order and of its types."""
    return pa.RecordBatch.from_arrays(
        [_cast(batch.column(field.name), field.type) for field in schema], schema=schema
    )


def file_of(path: Path, row: int) -> tuple[Path, int]:
    """The file that holds a row of a table, and the row's number in it."""
    if path.is_dir():
        left = row
        for file in files_in(path):
            rows = pq.read_metadata(file).num_rows
            if left < rows:
                return file, left
            left -= rows
    return path, row


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise FileError(file, f"not a Parquet file: {error}") from None


def _one_meaning(schemas: Schemas, round: str | None) -> Columns:
    first: tuple[Path, Columns] | None = None
    for file, schema in schemas.items():
        try:
            columns = Columns.of(schema.names, round)
        except ValueError as error:
            raise FileError(file, str(error)) from None
        if first is None:
            first = file, columns
        elif columns != first[1]:
            here, there = set(columns.read), set(first[1].read)
            raise FileError(
                file,
                f"its columns are not those of {first[0]}: it lacks "
                f"{sorted(there - here)} and has besides {sorted(here - there)}; write every file "
                "of a folder with the same columns",
            )
    if first is None:
        raise ValueError("there is no file to read")
    return first[1]


def _check_types(types: Mapping[Path, pa.DataType], name: str, columns: Columns) -> None:
    for file, kind in types.items():
        try:
            if name in columns.numbers:
                check_numbers(kind, name)
            elif name in columns.texts and not pa.types.is_null(kind):
                check_names(kind, name)
        except ValueError as error:
            raise FileError(file, str(error)) from None


def _common(types: Sequence[pa.DataType], number: bool) -> pa.DataType:
    """One type for a column: the type of all files, or one that holds every file's values."""
    plain = {t.value_type if pa.types.is_dictionary(t) else t for t in types}
    if len(plain) == 1:
        return next(iter(plain))
    if number:
        return pa.float64()
    plain = {t for t in plain if not pa.types.is_null(t)}
    if all(pa.types.is_integer(t) for t in plain):
        if pa.uint64() not in plain:
            return pa.int64()
        if all(pa.types.is_unsigned_integer(t) for t in plain):
            return pa.uint64()
    return pa.large_string() if pa.large_string() in plain else pa.string()


def _cast(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    if array.type == wanted:
        return array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    return array.cast(wanted, safe=not pa.types.is_floating(wanted))
