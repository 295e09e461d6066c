"""Rows of tables as one sum of digests, which no order, split or file name changes.

Each row is encoded canonically and hashed by SHA-256; the digests are added up modulo 2^256, and
the number of rows goes with the sum: AdHash (Bellare and Micciancio, "A new paradigm for
collision-free hashing", Eurocrypt 1997, section 5). A row that is there twice counts twice, which
an exclusive or would not see. Rows that differ by accident share a sum with probability 2^-256.
Who may choose many rows freely could find another set with the same sum (Wagner, "A generalized
birthday problem", Crypto 2002): these fingerprints tell whether content is new; what guards files
against being changed on purpose are the checksums of their bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_MODULUS = 1 << 256
_Bytes = NDArray[np.uint8]


@dataclass
class RowSum:
    """Digests of rows, added up; rows of different columns or types are summed apart."""

    _sums: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add_rows(self, rows: pa.RecordBatch, declared: pa.Schema | None = None) -> None:
        """Add the rows of a batch, whose columns may stand in any order.

        Args:
            rows: their columns are of types that have an encoding.
            declared: the types that the rows are of, where some were read as dictionaries of them.
        """
        names = sorted(rows.schema.names)
        columns = [rows.column(name) for name in names]
        types = declared or rows.schema
        what = json.dumps([[name, str(types.field(name).type)] for name in names])
        encoded, ends = _encoded(columns, rows.num_rows)
        self._add(what, (encoded[a:b] for a, b in pairwise(ends)))

    def add_lines(self, lines: Iterable[bytes]) -> None:
        """Add rows that are the bytes of lines."""
        self._add("lines", lines)

    def merge(self, other: RowSum) -> None:
        """Add the rows that were added to another sum."""
        for what, (number, total) in other._sums.items():
            self._add_sum(what, number, total)

    def fingerprint(self) -> str:
        """SHA-256 of the sums, hexadecimal."""
        return hashlib.sha256(json.dumps(sorted(self._sums.items())).encode()).hexdigest()

    def _add(self, what: str, rows: Iterable[bytes | memoryview]) -> None:
        sha256 = hashlib.sha256
        digests = b"".join([sha256(row).digest() for row in rows])
        # Eight columns of 32 bits: sums of up to 2^32 rows fit into 64.
        words = np.frombuffer(digests, "<u4").reshape(-1, 8)
        columns = words.sum(axis=0, dtype=np.uint64).tolist()
        self._add_sum(what, len(words), sum(word << (32 * i) for i, word in enumerate(columns)))

    def _add_sum(self, what: str, number: int, total: int) -> None:
        before, sum_before = self._sums.get(what, (0, 0))
        self._sums[what] = (before + number, (sum_before + total) % _MODULUS)


@dataclass(frozen=True)
class _Runs:
    """Bytes of each of n values: those of value i are ``data[ends[i] : ends[i + 1]]``."""

    data: _Bytes
    ends: NDArray[np.int64]


def _encoded(columns: list[pa.Array], n: int) -> tuple[memoryview, list[int]]:
    """The rows' encodings, one after the other, and where each ends, after a 0.

    First what has the same width in all rows: for each column whether there is a value, or how
    long it is, plus 1, and the bytes of numbers. Then texts and elements of lists, column by
    column. The widths of the second part can be told from the first, so no two rows share an
    encoding.
    """
    fixed: list[_Bytes] = [np.zeros((n, 0), np.uint8)]
    loose: list[_Runs] = []
    for column in columns:
        _encode(column, fixed, loose)
    width = sum(f.shape[1] for f in fixed)
    runs = [_Runs(np.hstack(fixed).reshape(-1), np.arange(n + 1) * width), *loose]
    nothing = pa.scalar(b"", pa.large_binary())
    joined = pc.binary_join_element_wise(*[_binary(r) for r in runs], nothing)
    _, ends, data = joined.buffers()
    return memoryview(data or b""), np.frombuffer(ends, np.int64)[: n + 1].tolist()


def _binary(runs: _Runs) -> pa.Array:
    buffers = [None, pa.py_buffer(runs.ends.astype(np.int64)), pa.py_buffer(runs.data)]
    return pa.Array.from_buffers(pa.large_binary(), len(runs.ends) - 1, buffers)


def _encode(values: pa.Array, fixed: list[_Bytes], loose: list[_Runs]) -> None:
    """Append what every value has in the same width, and the rest.

    Raises:
        ValueError: values of this type have no encoding.
    """
    kind, n = values.type, len(values)
    there = values.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(kind):
        _encode(values.dictionary_decode(), fixed, loose)
    elif pa.types.is_map(kind):
        entry = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        _encode(values.cast(pa.list_(entry)), fixed, loose)
    elif pa.types.is_fixed_size_list(kind):
        _encode(values.cast(pa.list_(kind.value_type)), fixed, loose)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        fixed.append(_words(np.where(there, lengths + 1, 0)))
        _encode_elements(pc.list_flatten(values), ends, loose)
    elif pa.types.is_struct(kind):
        fixed.append(there.astype(np.uint8)[:, None])
        for i in range(kind.num_fields):
            _encode(pc.struct_field(values, [i]), fixed, loose)
    elif _is_text(kind):
        # What lies under a null is not content.
        texts = pc.fill_null(values.cast(pa.large_binary()), b"")
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + n + 1]
        fixed.append(_words(np.where(there, np.diff(ends) + 1, 0)))
        loose.append(_Runs(np.frombuffer(data or b"", np.uint8), ends))
    else:
        fixed.append(there.astype(np.uint8)[:, None])
        if not pa.types.is_null(kind):
            fixed.append(_numbers(values, there))


def _encode_elements(elements: pa.Array, ends: NDArray[np.int64], loose: list[_Runs]) -> None:
    """The same of lists: the bytes of their elements lie side by side."""
    fixed: list[_Bytes] = []
    inner: list[_Runs] = []
    _encode(elements, fixed, inner)
    for part in fixed:
        loose.append(_Runs(np.ascontiguousarray(part).reshape(-1), ends * part.shape[1]))
    loose.extend(_Runs(runs.data, runs.ends[ends]) for runs in inner)


def _is_text(kind: pa.DataType) -> bool:
    texts = (pa.types.is_string, pa.types.is_large_string)
    return any(of(kind) for of in (*texts, pa.types.is_binary, pa.types.is_large_binary))


def _numbers(values: pa.Array, there: NDArray[np.bool_]) -> _Bytes:
    """Bytes of values of one width, zeros where there is none, shape (n, width)."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    try:
        width = values.type.bit_width // 8
    except ValueError as error:
        raise ValueError(f"values of type {values.type} have no fingerprint") from error
    data = np.frombuffer(values.buffers()[1] or b"", np.uint8)
    data = data[values.offset * width : (values.offset + len(values)) * width]
    shaped: _Bytes = data.reshape(-1, width)
    return shaped if there.all() else np.where(there[:, None], shaped, np.uint8(0))


def _words(lengths: NDArray[np.int64]) -> _Bytes:
    return lengths.astype("<u4").view(np.uint8).reshape(-1, 4)
