"""Which rows of a table are a person's, and whole files without them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.privacy.person import Person

Mask = NDArray[np.bool_]
Change = Callable[[pa.RecordBatch], tuple[pa.RecordBatch, int]]
"""A batch as it may stay, and how many of its rows were the person's."""
Texts = Callable[[Mapping[str, Any]], frozenset[str]]
"""All texts that a column has in the rows of a raw line, of the line's object."""

_BATCH_ROWS = 65_536
# By which a row is somebody's, the surest first.
KEYS = ("user", "request_id", "decision_id")
FORGOTTEN = "forgotten"


def is_theirs(batch: pa.RecordBatch, person: Person) -> Mask:
    """Which rows are the person's, by the first of ``KEYS`` that there is; shape (n,)."""
    name = next((n for n in KEYS if n in batch.schema.names), None)
    if name is None:
        return np.zeros(batch.num_rows, np.bool_)
    if name == "user":
        return _equal(batch.column(name), person.pseudonym)
    return _of_requests(batch.column(name), person, of_decisions=name == "decision_id")


def without_rows(person: Person) -> Change:
    """Takes the person's rows away."""

    def change(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        theirs = is_theirs(batch, person)
        return batch.filter(pa.array(~theirs)), int(theirs.sum())

    return change


def without_texts(person: Person, columns: Mapping[str, Mapping[str, Texts]]) -> Change:
    """Takes the text of the person's quarantined rows away, and gives ``forgotten`` as the reason.

    Args:
        person: whose rows.
        columns: table to contract name to what a raw line has there; those that are left out have
            their own name there.
    """

    def change(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        rows = batch.select(["table", "raw"]).to_pylist()
        theirs = np.array(
            [is_their_text(r["raw"], person, columns.get(r["table"], {})) for r in rows], np.bool_
        )
        reason, raw = batch.schema.get_field_index("reason"), batch.schema.get_field_index("raw")
        mask = pa.array(theirs)
        kept = list(batch.columns)
        kept[reason] = pc.if_else(mask, pa.scalar(FORGOTTEN), batch.column("reason"))
        kept[raw] = pc.if_else(mask, pa.scalar(None, pa.string()), batch.column("raw"))
        return pa.RecordBatch.from_arrays(kept, schema=batch.schema), int(theirs.sum())

    return change


def is_their_text(raw: str | None, person: Person, columns: Mapping[str, Texts]) -> bool:
    """Whether the raw text of a quarantined row is the person's.

    Of a row that is a JSON object its users and its requests tell, and any distinct id anywhere in
    it; of what nobody can read, every word that is the user's id, and all of its parts where it is
    joined of several.
    """
    if not raw:
        return False
    row = _object(raw)
    if row is None:
        cells = set(_cells(raw))
        known = person.user_id in cells or any(person.has_request(c) for c in cells)
        return known or person.stands_in_unread(raw)
    if person.user_id in _texts(row, columns, "user_id"):
        return True
    if any(person.has_request(request) for request in _texts(row, columns, "request_id")):
        return True
    return person.stands_in_line(raw)


def requests_of_text(
    raw: str | None, person: Person, columns: Mapping[str, Texts]
) -> frozenset[str]:
    """The requests of a quarantined line of impressions, a JSON object of the person's alone."""
    row = _object(raw or "")
    if row is None or _texts(row, columns, "user_id") != {person.user_id}:
        return frozenset()
    return _texts(row, columns, "request_id")


def text_of(value: Any) -> str:
    """A value as the ingestion takes it for text."""
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def reading(path: Path) -> Iterator[pq.ParquetFile]:
    """The Parquet file at a path.

    Raises:
        ValueError: it is none, or is damaged; names it.
    """
    try:
        yield pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} cannot be read as Parquet: {error}") from error


def holds(path: Path, change: Change, columns: Iterable[str]) -> bool:
    """Whether a file has a row that ``change`` concerns; only ``columns`` are read.

    Raises:
        ValueError: the file cannot be read.
    """
    with reading(path) as file:
        wanted = [c for c in columns if c in file.schema_arrow.names]
        batches = file.iter_batches(_BATCH_ROWS, columns=wanted) if wanted else ()
        return any(change(batch)[1] for batch in batches)


def rewrite(
    path: Path, target: Path, change: Change, metadata: Mapping[str, str] | None = None
) -> int:
    """Write a changed copy of a Parquet file in constant memory; how many rows were theirs.

    The copy has the types, the compression and the metadata of the original, and can be read by
    whoever read that: times stay INT96 where Spark wrote them so.

    Args:
        path: of the file.
        target: of the copy.
        change: of each batch.
        metadata: more of it.
    """
    file = pq.ParquetFile(path)
    kept = file.schema_arrow.metadata or {}
    more = {k.encode(): v.encode() for k, v in (metadata or {}).items()}
    schema = file.schema_arrow.with_metadata({**kept, **more})
    physical = {file.schema.column(i).physical_type for i in range(len(file.schema))}
    removed = 0
    with pq.ParquetWriter(
        target,
        schema,
        compression=_compression(file),
        use_deprecated_int96_timestamps="INT96" in physical,
        store_schema=b"ARROW:schema" in (file.metadata.metadata or {}),
    ) as writer:
        for batch in file.iter_batches(_BATCH_ROWS):
            changed, number = change(batch)
            removed += number
            if changed.num_rows:
                table = pa.Table.from_batches([changed])
                writer.write_table(table.replace_schema_metadata(schema.metadata))
    return removed


def _compression(file: pq.ParquetFile) -> str:
    if not file.metadata.num_row_groups or not file.metadata.num_columns:
        return "snappy"
    used = str(file.metadata.row_group(0).column(0).compression).lower()
    return "none" if used == "uncompressed" else used


def _equal(column: pa.Array, value: str) -> Mask:
    texts = column.cast(pa.string())
    found: Mask = pc.fill_null(pc.equal(texts, value), False).to_numpy(zero_copy_only=False)
    return found


def _of_requests(column: pa.Array, person: Person, *, of_decisions: bool) -> Mask:
    coded = column.cast(pa.string()).dictionary_encode()
    ids = coded.dictionary.to_pylist()
    if of_decisions:
        ids = [None if i is None else i.rpartition("#")[0] for i in ids]
    theirs = np.array([*(person.has_request(i) for i in ids), False], np.bool_)
    places = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    found: Mask = theirs[places]
    return found


def _object(raw: str) -> dict[str, Any] | None:
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _cells(raw: str) -> list[str]:
    try:
        return next(csv.reader([raw]), [])
    except csv.Error:
        return []


def _texts(row: Mapping[str, Any], columns: Mapping[str, Texts], name: str) -> frozenset[str]:
    if name in columns:
        return columns[name](row)
    value = row.get(name)
    return frozenset() if value is None else frozenset({text_of(value)})
