"""A sample of the rows of every file under a path: JSON lines, CSV, Parquet, packed or not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from mrlm.log_mapping.night_pattern import night_pattern

Row = dict[str, Any]
Format = Literal["json", "csv", "parquet"]

# Of a file at most so much is read, of files of one kind so many.
_ROWS, _BYTES, _FILES = 20_000, 32_000_000, 6
_DELIMITERS = ",\t;|"
_SNIFFED = 20
_ELEMENTS = 5


@dataclass(frozen=True)
class SampledFile:
    """The first rows of one file.

    Attributes:
        path: where it lies.
        format: of its rows; None where they could not be read.
        delimiter: of CSV.
        packed: ``gz``, ``zip`` or nothing.
        rows: as JSON objects would be; of CSV all values are texts.
        unread: rows that could not be read.
        whole: whether the sample is the whole file.
        problem: why it is no log that can be read, in words.
    """

    path: Path
    format: Format | None = None
    delimiter: str = ","
    packed: str = ""
    rows: tuple[Row, ...] = ()
    unread: int = 0
    whole: bool = True
    problem: str = ""


@dataclass(frozen=True)
class SampledTable:
    """Files that hold one table: the same place on other nights, or one folder.

    Attributes:
        pattern: their path, with ``{night}`` where they name one.
        files: those that were sampled.
        number: of all of them.
        nights: ISO dates that their paths name, in order.
        name: the first file's path inside of what was checked.
    """

    pattern: str
    files: tuple[SampledFile, ...]
    number: int
    nights: tuple[str, ...] = field(default=())
    name: str = ""

    @property
    def first(self) -> SampledFile:
        """The file by whose form all are told."""
        return self.files[0]

    @property
    def rows(self) -> list[Row]:
        """The rows of all sampled files."""
        return [row for file in self.files for row in file.rows]

    @property
    def whole(self) -> bool:
        """Whether the sample is all rows of all files."""
        return len(self.files) == self.number and all(file.whole for file in self.files)

    @property
    def unread(self) -> int:
        """Rows that could not be read."""
        return sum(file.unread for file in self.files)


def sample_tables(path: Path) -> tuple[list[SampledTable], list[SampledFile]]:
    """The tables under a file or folder, and the files that hold none.

    Raises:
        FileNotFoundError: there is nothing at the path.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder at {path}")
    groups: dict[str, list[Path]] = {}
    files = [path] if path.is_file() else [f for f in sorted(path.rglob("*")) if f.is_file()]
    for file in files:
        inner = file.relative_to(path).parts if path.is_dir() else (file.name,)
        if not any(part.startswith((".", "_")) for part in inner):
            groups.setdefault(_kind(file), []).append(file)
    tables, others = [], []
    for members in groups.values():
        sampled = [_sampled(file) for file in _spread(members)]
        read = [s for s in sampled if s.format is not None and s.rows]
        others += [s for s in sampled if s not in read]
        if read:
            nights = {night_pattern(str(file)).night for file in members}
            found = tuple(sorted(n for n in nights if n))
            pattern = _pattern(members, path)
            name = members[0].name if path.is_file() else str(members[0].relative_to(path))
            tables.append(SampledTable(pattern, tuple(read), len(members), found, name))
    return tables, others


def _kind(file: Path) -> str:
    """What files of one table have in common: the night and the number of a part are left out."""
    pattern = night_pattern(str(file)).pattern
    folder, _, name = pattern.rpartition("/")
    kept = name if "{night" in name else "".join("#" if c.isdigit() else c for c in name)
    while "##" in kept:
        kept = kept.replace("##", "#")
    # Spark names files by a hash.
    if name.startswith("part-"):
        kept = "part-" + "".join(Path(name).suffixes[-2:])
    return f"{folder}/{kept}"


def _spread(files: list[Path]) -> list[Path]:
    """So many of the files, the first and the last among them."""
    if len(files) <= _FILES:
        return files
    step = (len(files) - 1) / (_FILES - 1)
    return [files[round(i * step)] for i in range(_FILES)]


def _pattern(members: list[Path], root: Path) -> str:
    """The path of a table as settings name it: a file, or a folder of which all files are its."""
    patterns = {night_pattern(str(file)).pattern for file in members}
    folders = {p.rpartition("/")[0] for p in patterns}
    if len(patterns) == 1 and (
        "{night" in next(iter(patterns)).rpartition("/")[2] or _alone(members)
    ):
        return next(iter(patterns))
    if len(folders) == 1 and root.is_dir():
        there = {f for m in members for f in m.parent.iterdir() if f.name[0] not in "._"}
        if there == set(members):
            return next(iter(folders))
        return f"{next(iter(folders))}/{_common(members)}"
    return sorted(patterns)[0]


def _alone(members: list[Path]) -> bool:
    """Whether the file of a folder has a name that tells the table from others there."""
    return len(members) == 1 or not members[0].name.startswith("part")


def _common(members: list[Path]) -> str:
    names = sorted(m.name for m in members)
    first, last = names[0], names[-1]
    n = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return f"{first[:n]}*{Path(first).suffix}"


def _sampled(file: Path) -> SampledFile:
    try:
        return _read(file)
    except (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        zipfile.BadZipFile,
        pa.ArrowException,
    ) as error:
        return SampledFile(file, problem=f"cannot be read: {error}")


def _read(file: Path) -> SampledFile:
    with file.open("rb") as stream:
        head = stream.read(4)
    if not head:
        return SampledFile(file, problem="is empty")
    if head == b"PAR1":
        return _parquet(file)
    if head[:2] == b"\x1f\x8b":
        with gzip.open(file) as unpacked:
            return replace(_text(file, unpacked), packed="gz")
    if head == b"PK\x03\x04":
        with zipfile.ZipFile(file) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/")]
            if len(names) != 1:
                problem = f"holds {len(names)} files: unpack it, and check the folder"
                return SampledFile(file, packed="zip", problem=problem)
            with archive.open(names[0]) as member:
                return replace(_text(file, member), packed="zip")
    with file.open("rb") as plain:
        return _text(file, plain)


def _parquet(file: Path) -> SampledFile:
    source = pq.ParquetFile(file)
    batch = next(source.iter_batches(batch_size=_ROWS), None)
    rows = tuple(batch.to_pylist(maps_as_pydicts="lossy")) if batch is not None else ()
    whole = len(rows) == source.metadata.num_rows
    return SampledFile(file, "parquet", rows=rows, whole=whole)


def _text(file: Path, stream: IO[bytes] | gzip.GzipFile) -> SampledFile:
    data = stream.read(_BYTES + 1)
    whole = len(data) <= _BYTES
    if not whole:
        data = data[: data.rfind(b"\n") + 1]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return SampledFile(file, problem="is no UTF-8 text")
    if "\0" in text[:1000]:
        return SampledFile(file, problem="is no text")
    start = text.lstrip()[:1]
    if start == "{":
        return _json_lines(file, text, whole)
    if start == "[":
        problem = "is one JSON array, not one object a line: write it as JSON lines"
        return SampledFile(file, problem=problem)
    return _csv(file, text, whole)


def _json_lines(file: Path, text: str, whole: bool) -> SampledFile:
    rows: list[Row] = []
    unread = 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        if len(rows) + unread >= _ROWS:
            whole = False
            break
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            unread += 1
    if not rows:
        problem = "begins like JSON, and no line of it is one object: write JSON lines"
        return SampledFile(file, problem=problem)
    return SampledFile(file, "json", rows=tuple(rows), unread=unread, whole=whole)


def _csv(file: Path, text: str, whole: bool) -> SampledFile:
    lines = text.splitlines()[:_SNIFFED]
    delimiter = _delimiter(lines)
    header = next(csv.reader(lines[:1], delimiter=delimiter), [])
    if len(header) > 1 and len(lines) > 1 and any(map(_number, header)):
        problem = "is CSV without a header line: write the names of its columns into the first line"
        return SampledFile(file, problem=problem)
    if len(header) < 2 or len(lines) < 2:
        return SampledFile(
            file, problem="is neither JSON lines, nor CSV with a header, nor Parquet"
        )
    # Spark's name of a column without one.
    names = [name.strip() or f"_c{i}" for i, name in enumerate(header)]
    rows: list[Row] = []
    unread = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    next(reader)
    for cells in _readable(reader):
        if len(rows) >= _ROWS:
            whole = False
            break
        if len(cells) == len(names):
            rows.append({n: c for n, c in zip(names, cells, strict=True) if c.strip()})
        elif cells:
            unread += 1
    return SampledFile(file, "csv", delimiter, rows=tuple(rows), unread=unread, whole=whole)


def _readable(reader: Iterable[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error:
        return


def _delimiter(lines: list[str]) -> str:
    """The delimiter that cuts all lines into equally many cells, and into most."""

    def cells(delimiter: str) -> tuple[bool, int]:
        numbers = [len(r) for r in csv.reader(lines, delimiter=delimiter)]
        return len(set(numbers)) == 1, min(numbers, default=0)

    return max(_DELIMITERS, key=lambda d: (cells(d)[1] > 1, *cells(d)))


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
