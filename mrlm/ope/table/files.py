"""A file of any known format as Arrow batches with the columns that ``Columns`` understands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mrlm.ope.table.columns import Columns
from mrlm.ope.table.dsjson import dsjson_batches
from mrlm.ope.table.folder import files_in, one_schema, with_schema
from mrlm.ope.table.obp import obp_batches

ROWS_AT_ONCE = 1 << 18
_CSV_BYTES_AT_ONCE = 1 << 24

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
    suffix = path.suffix.lower()
    if suffix in {".pkl", ".pickle"}:
        raise ValueError(
            f"{path}: a pickle can run any program when it is read, so it is not; save the "
            "feedback as numpy.savez('feedback.npz', **{k: v for k, v in feedback.items() if v is "
            "not None}, action_dist=...)"
        )
    if suffix not in _READERS:
        raise ValueError(f"{path}: unknown format {suffix!r}; known are {', '.join(_READERS)}")
    return _READERS[suffix](path, round)


def _parquet(path: Path, round: str | None) -> Batches:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: not a Parquet file: {error}") from None
    with file:
        names = Columns.of(file.schema_arrow.names, round).read
        yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=names)


def _csv(path: Path, round: str | None) -> Batches:
    reading = pa_csv.ReadOptions(use_threads=False, block_size=_CSV_BYTES_AT_ONCE)
    try:
        with path.open("rb") as lines:
            header = pa_csv.read_csv(
                pa.BufferReader(lines.readline()), pa_csv.ReadOptions(use_threads=False)
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
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: {error}") from None


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
