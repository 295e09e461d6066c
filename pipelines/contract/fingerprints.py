"""Fingerprints of content: the same rows give the same hash, however they lie in files.

Tables and raw lines are sums over their rows (``row_sums``), read in pieces, so neither file names,
nor the number of files, nor the order of rows, nor compression, nor the clock enters, and memory
does not grow with them. JSON is hashed in canonical form, safetensors by name and array.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.contract.raw_files import raw_files
from pipelines.contract.row_sums import RowSum
from pipelines.contract.side_by_side import side_by_side
from pipelines.failures.errors import DamagedError

# Names of files that say how something was made rather than what it is.
IGNORED_SUFFIXES = (".html", ".png", ".svg", ".crc", ".log", ".md")
_BATCH_ROWS = 8_192
_CHUNK_BYTES = 1 << 22


def of_json(data: Any) -> str:
    """Fingerprint of plain data, named fingerprints among them, whatever the order of names."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def of_path(path: Path) -> str:
    """Fingerprint of a file, of a folder of Parquet files, or of a tree of those.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: a file is of a kind that has no content fingerprint.
    """
    (found,) = of_paths([path])
    return found


def of_paths(paths: Sequence[Path]) -> list[str]:
    """``of_path`` of each; the tables of all of them are read side by side.

    Raises:
        FileNotFoundError: there is nothing at a path.
        ValueError: a file is of a kind that has no content fingerprint.
    """
    tables = [table for path in paths for table in _tables(path)]
    sums = dict(zip(tables, side_by_side(_rows_of, tables), strict=True))
    return [_of(path, sums) for path in paths]


def of_table(table: pa.Table) -> str:
    """Fingerprint of the rows of a table, in any order, cut anyhow."""
    return _of_batches(table.to_batches(), table.schema)


def of_raw(path: str) -> str:
    """Fingerprint of raw input: a file or a folder, of lines or of Parquet, local or remote.

    Compressed lines are read as lines.

    Raises:
        FileNotFoundError: there is nothing at the path.
        DamagedError: a file is no whole Parquet file, or is compressed and damaged; names it.
    """
    filesystem, files = raw_files(path)
    rows = RowSum()
    for file in (found.path for found in files):
        try:
            if file.endswith(".parquet"):
                with filesystem.open_input_file(file) as source:
                    _add_tables(rows, source)
            else:
                with filesystem.open_input_stream(file) as stream:
                    for lines in _lines(stream):
                        rows.add_lines(lines)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            kind = "as Parquet" if file.endswith(".parquet") else "to its end"
            raise DamagedError(
                f"{file} cannot be read {kind} ({error}): have it delivered again"
            ) from error
    return rows.fingerprint()


def _tables(path: Path) -> Iterator[Path]:
    """The Parquet files of a path whose rows are summed."""
    if path.is_dir():
        for child in _content(path):
            yield from _tables(child)
    elif path.suffix == ".parquet" and path.exists():
        yield path


def _of(path: Path, sums: Mapping[Path, RowSum]) -> str:
    if path.is_dir():
        return _of_folder(path, sums)
    if path in sums:
        return _merged([sums[path]])
    if path.suffix in {".json", ".jsonl"}:
        return of_json([json.loads(line) for line in _documents(path)])
    if path.suffix == ".safetensors":
        return _of_safetensors(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there")
    raise ValueError(f"{path}: files of this kind have no content fingerprint")


def _of_folder(folder: Path, sums: Mapping[Path, RowSum]) -> str:
    parts: dict[str, str] = {}
    tables: list[RowSum] = []
    for child in _content(folder):
        if child in sums and child.name.startswith("part-"):
            tables.append(sums[child])
        else:
            parts[child.name] = _of(child, sums)
    if tables:
        parts["rows"] = _merged(tables)
    return of_json(parts)


def _content(folder: Path) -> list[Path]:
    return [
        child
        for child in sorted(folder.iterdir())
        if not child.name.startswith(("_", ".")) and child.suffix not in IGNORED_SUFFIXES
    ]


def _merged(tables: Iterable[RowSum]) -> str:
    rows = RowSum()
    for found in tables:
        rows.merge(found)
    return rows.fingerprint()


def _rows_of(path: Path) -> RowSum:
    rows = RowSum()
    with path.open("rb") as source:
        # Each core has a process of its own here.
        _add_tables(rows, source, threads=False)
    return rows


def _add_tables(rows: RowSum, source: Any, *, threads: bool = True) -> None:
    file = pq.ParquetFile(source)
    declared, groups = file.schema_arrow, range(file.num_row_groups)
    rows.add_rows(pa.RecordBatch.from_pylist([], declared))
    file = pq.ParquetFile(source, metadata=file.metadata, read_dictionary=_numbered_lists(file))
    # One group at a time: lists of numbers into dictionaries cannot go on from one to the next.
    for i in groups:
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[i], use_threads=threads):
            rows.add_rows(batch, declared)


def _numbered_lists(file: pq.ParquetFile) -> list[str]:
    """Lists of texts that lie in the file as numbers of distinct ones.

    Read as they lie, candidates take half of the time that reading takes otherwise.
    """
    if not file.num_row_groups:
        return []
    first = file.metadata.row_group(0)
    leaves = [file.schema.column(i) for i in range(first.num_columns)]
    return [
        leaf.path
        for i, leaf in enumerate(leaves)
        if leaf.physical_type == "BYTE_ARRAY"
        and leaf.max_repetition_level
        and first.column(i).has_dictionary_page
    ]


def _of_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> str:
    rows = RowSum()
    rows.add_rows(pa.RecordBatch.from_pylist([], schema))
    for batch in batches:
        rows.add_rows(batch)
    return rows.fingerprint()


def _lines(stream: Any) -> Iterator[list[bytes]]:
    """The lines of a stream that are not empty, in pieces."""
    rest = b""
    while chunk := stream.read(_CHUNK_BYTES):
        lines = (rest + chunk).splitlines(keepends=True)
        # Its end may be still to come, of a line as of a CR LF.
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield _without_ends(lines)
    yield _without_ends([rest])


def _without_ends(lines: list[bytes]) -> list[bytes]:
    return [bare for line in lines if (bare := line.rstrip(b"\r\n"))]


def _documents(path: Path) -> Iterable[str]:
    text = path.read_text()
    return [x for x in text.splitlines() if x.strip()] if path.suffix == ".jsonl" else [text]


def _of_safetensors(path: Path) -> str:
    from safetensors.numpy import load_file

    digest = hashlib.sha256()
    for name, array in sorted(load_file(path).items()):
        digest.update(f"{name}:{array.dtype}:{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
