"""A file of any known format as Arrow batches with the columns that ``Columns`` understands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mrlm.ope.table.columns.columns import Columns
from mrlm.ope.table.files.dsjson import dsjson_batches
from mrlm.ope.table.files.file_error import FileError
from mrlm.ope.table.files.folder import files_in, one_schema, with_schema
from mrlm.ope.table.files.obp import obp_batches
from mrlm.ope.table.files.text_lines import CSV_HEADER, lines_of

ROWS_AT_ONCE = 1 << 18
_CSV_BYTES_AT_ONCE = 1 << 24
_BATCH_BYTES, _BUFFER, _NAME_BYTES = 1 << 27, 1 << 16, 1 << 10

Batches = Iterator[pa.RecordBatch]


def batches(path: Path, round: str | None = None) -> Batches:
    """Batches of the file; a folder is read as the Parquet files in it, by name.

    Args:
        path: of the file or folder.
        round: see ``Layout.of``; what it does not need is not read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the format is not known, the file is not of it, or a folder's files differ.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        files = files_in(path)
        schema = one_schema(files, round)
        return (with_schema(b, schema) for file in files for b in _parquet(file, round))
    if not path.is_file():
        raise FileError(
            path, "not a regular file: what is not on a disk cannot be read twice; save it first"
        )
    suffix = path.suffix.lower()
    if suffix in {".pkl", ".pickle"}:
        raise FileError(
            path,
            "a pickle can run any program when it is read, so it is not; save the "
            "feedback as numpy.savez('feedback.npz', **{k: v for k, v in feedback.items() if v is "
            "not None}, action_dist=...)",
        )
    if suffix not in _READERS:
        raise FileError(path, f"unknown format {suffix!r}; known are {', '.join(_READERS)}")
    return _READERS[suffix](path, round)


def _parquet(path: Path, round: str | None) -> Batches:
    try:
        schema = pq.read_schema(path)
        columns = Columns.of(schema.names, round)
        for name in columns.read:
            _check_flat(name, schema.field(name).type)
        # A long name that comes often is short in the file: as a code it stays so in memory.
        coded = [c for c in columns.texts if _is_text(schema.field(c).type)]
        with pq.ParquetFile(path, buffer_size=_BUFFER, read_dictionary=coded) as file:
            rows = _rows(file, columns.read)
            for batch in file.iter_batches(batch_size=rows, columns=columns.read):
                yield _decoded(batch, coded)
    except (pa.ArrowException, OSError) as error:
        raise FileError(path, f"not a whole Parquet file: {error}") from None


def _rows(file: pq.ParquetFile, names: list[str]) -> int:
    """Rows of a batch that fit into memory as the file's own sizes say."""
    wanted, most = set(names), 1.0
    for k in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(k)
        chunks = (group.column(i) for i in range(group.num_columns))
        size = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema in wanted)
        most = max(most, size / max(group.num_rows, 1))
    return max(min(ROWS_AT_ONCE, int(_BATCH_BYTES / most)), 1)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _decoded(batch: pa.RecordBatch, coded: list[str]) -> pa.RecordBatch:
    """The batch with plain names, none of them too long to be held for every row."""
    for name in coded:
        codes = batch.column(name)
        longest = pc.max(pc.binary_length(codes.dictionary)).as_py() or 0
        if longest > _NAME_BYTES:
            raise ValueError(f"{name} has a value of {longest} bytes; at most {_NAME_BYTES}")
        place = batch.schema.get_field_index(name)
        batch = batch.set_column(place, name, codes.dictionary_decode())
    return batch


def _check_flat(name: str, kind: pa.DataType) -> None:
    if pa.types.is_nested(kind):
        raise ValueError(f"column {name} must hold one value a row; it is {kind}")


def _csv(path: Path, round: str | None) -> Batches:
    reading = pa_csv.ReadOptions(use_threads=False, block_size=_CSV_BYTES_AT_ONCE)
    try:
        _, first = next(lines_of(path, CSV_HEADER), (1, ""))
        header = pa_csv.read_csv(
            pa.BufferReader(first.encode()), pa_csv.ReadOptions(use_threads=False)
        ).schema.names
        columns = Columns.of(header, round)
        types = dict.fromkeys(columns.numbers, pa.float64())
        types |= dict.fromkeys(columns.texts, pa.string())
        converting = pa_csv.ConvertOptions(
            column_types=types,
            include_columns=columns.read,
            null_values=["", "NA", "NaN", "nan", "null", "NULL", "None"],
            strings_can_be_null=True,
        )
        with pa_csv.open_csv(path, reading, convert_options=converting) as reader:
            yield from reader
    except pa.ArrowException as error:
        # Arrow's words for a row that does not end within a block.
        if "straddling" in str(error):
            most = f"no row may be longer than {_CSV_BYTES_AT_ONCE >> 20} MiB"
            raise FileError(path, f"{most}, and one is: write one record a line") from None
        raise FileError(path, f"not a table of one row a line: {error}") from None


def _whole(read: Callable[[Path], Batches]) -> Callable[[Path, str | None], Batches]:
    """A reader of a format that has no columns to leave out."""
    return lambda path, _: read(path)


_READERS: dict[str, Callable[[Path, str | None], Batches]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".npz": _whole(obp_batches),
    ".dsjson": _whole(dsjson_batches),
    ".json": _whole(dsjson_batches),
    ".jsonl": _whole(dsjson_batches),
}
