"""Vectors that were computed once, addressed by what they were computed from."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

_CHECKSUM = b"mrlm.vectors.sha256"
_SHAPE = {"key": pa.types.is_string, "vector": pa.types.is_fixed_size_list}


def embedding_key(fingerprint: str, text: str) -> str:
    """Address of the vector that the encoder with this fingerprint gives to a text."""
    return f"{fingerprint}/{hashlib.sha256(text.encode()).hexdigest()}"


class EmbeddingStore:
    """A folder of shards, each a Parquet file of (key, vector), named by the hash of its keys.

    A shard is written to a staging name and then renamed, and is never changed: a writer that is
    killed leaves at most a staging file, which nobody reads, and several writers need no lock. A
    key in several shards takes the one whose name sorts first.

    A shard is read only if its keys are those of its name and its vectors those of the checksum
    that it carries; shards of versions that wrote no checksum are held to their keys alone. One
    that is damaged gets another name, so that its texts count as missing and are encoded again.

    Attributes:
        set_aside: damaged shards that this object found, by the name that they have now, and what
            is wrong with each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place: dict[str, tuple[Path, int]] = {}
        self._known: set[Path] = set()
        self._whole: set[Path] = set()
        self.set_aside: dict[Path, str] = {}

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of ``keys`` without a vector in a whole shard, each once, sorted.

        Raises:
            OSError: a shard is there and cannot be read, or is damaged and cannot be set aside.
        """
        while True:
            self._scan()
            needed = {self._place[k][0] for k in keys if k in self._place} - self._whole
            damaged = [path for path in sorted(needed) if not self._check(path)]
            if not damaged:
                return sorted({k for k in keys if k not in self._place})
            # Another shard may hold some of their keys.
            self._known, self._place = set(), {}

    def get(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of ``keys``, float32, shape (len(keys), dimensions).

        Raises:
            KeyError: a key has no vector.
            ValueError: the keys belong to encoders of different width.
        """
        absent = self.missing(keys)
        if absent:
            raise KeyError(
                f"{len(absent)} of {len(keys)} vectors are not in {self._folder}, the first is "
                f"{absent[0]}: run the stage embed"
            )
        rows: dict[Path, list[tuple[int, int]]] = {}
        for i, key in enumerate(keys):
            path, row = self._place[key]
            rows.setdefault(path, []).append((i, row))
        out: NDArray[np.float32] | None = None
        for path in sorted(rows):
            vectors = _vectors(pq.read_table(path, columns=["vector"]))
            if out is None:
                out = np.zeros((len(keys), vectors.shape[1]), np.float32)
            if vectors.shape[1] != out.shape[1]:
                raise ValueError(
                    f"{path}: vectors of width {vectors.shape[1]} and {out.shape[1]} were asked "
                    "for together"
                )
            into, where = np.array(rows[path]).T
            out[into] = vectors[where]
        return np.zeros((0, 0), np.float32) if out is None else out

    def put(self, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Store one shard, vectors float32 of shape (len(keys), dimensions).

        Raises:
            ValueError: keys are not unique, or do not fit the vectors, or a vector is not finite.
        """
        if len(keys) != len(vectors) or len(set(keys)) != len(keys):
            raise ValueError(f"{len(set(keys))} unique of {len(keys)} keys, {len(vectors)} vectors")
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(broken):
            raise ValueError(
                f"{len(broken)} vectors are not finite, the first is {keys[broken[0]]}"
            )
        if not keys:
            return
        order = sorted(range(len(keys)), key=keys.__getitem__)
        in_order = [keys[i] for i in order]
        name = _name(in_order)
        values = pa.array(np.ascontiguousarray(vectors[order], np.float32).reshape(-1))
        table = pa.table(
            {
                "key": pa.array(in_order, pa.string()),
                "vector": pa.FixedSizeListArray.from_arrays(values, vectors.shape[1]),
            }
        )
        table = table.replace_schema_metadata({_CHECKSUM: _checksum(_vectors(table))})
        self._folder.mkdir(parents=True, exist_ok=True)
        staging = self._folder / f".{name}.{uuid.uuid4().hex}.staging"
        try:
            pq.write_table(table, staging)
            with staging.open("rb") as file:
                os.fsync(file.fileno())
            staging.replace(self._folder / f"{name}.parquet")
        except Exception:
            # On a full disk, what is left of it would take the space of what comes next.
            staging.unlink(missing_ok=True)
            raise

    def _scan(self) -> None:
        new = sorted(set(self._folder.glob("*.parquet")) - self._known)
        for path in new:
            try:
                keys = _read(path, "key")["key"].to_pylist()
                if _name(keys) != path.stem:
                    raise _DamagedError("its keys are not those that it was named by")
            except _DamagedError as error:
                self._put_aside(path, error)
                continue
            for row, key in enumerate(keys):
                if key not in self._place or path < self._place[key][0]:
                    self._place[key] = (path, row)
            self._known.add(path)

    def _check(self, path: Path) -> bool:
        """Whether a shard's vectors are those that were stored; it is set aside if not."""
        try:
            table = _read(path, "vector")
            stated = (table.schema.metadata or {}).get(_CHECKSUM)
            if stated is not None and stated != _checksum(_vectors(table)):
                raise _DamagedError("its vectors are not those of its checksum")
        except _DamagedError as error:
            self._put_aside(path, error)
            return False
        self._whole.add(path)
        return True

    def _put_aside(self, path: Path, error: _DamagedError) -> None:
        aside = path.with_name(f"{path.name}.damaged")
        # Another process may have found it too.
        with suppress(FileNotFoundError):
            path.replace(aside)
        self.set_aside[aside] = str(error)


class _DamagedError(Exception):
    """A shard does not hold what was stored."""


def _read(path: Path, column: str) -> pa.Table:
    try:
        table = pq.read_table(path, columns=[column])
    except (pa.ArrowException, OSError) as error:
        # A number is the system's: the file may be whole, and is not to be had now.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _DamagedError(str(error).splitlines()[0]) from error
    if column not in table.column_names or not _SHAPE[column](table[column].type):
        raise _DamagedError(f"it has no such column {column}")
    return table


def _name(keys: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(map(str, keys)).encode()).hexdigest()


def _checksum(vectors: NDArray[np.float32]) -> bytes:
    digest = hashlib.sha256(f"{vectors.shape}".encode())
    digest.update(np.ascontiguousarray(vectors).tobytes())
    return digest.hexdigest().encode()


def _vectors(table: pa.Table) -> NDArray[np.float32]:
    column = table["vector"]
    width = column.type.list_size
    flat = np.concatenate([c.flatten().to_numpy() for c in column.chunks])
    return flat.reshape(-1, width)
