"""Vectors that were computed once, addressed by what they were computed from."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray


def embedding_key(fingerprint: str, text: str) -> str:
    """Address of the vector that the encoder with this fingerprint gives to a text."""
    return f"{fingerprint}/{hashlib.sha256(text.encode()).hexdigest()}"


class EmbeddingStore:
    """A folder of shards, each a Parquet file of (key, vector), named by the hash of its keys.

    A shard is written to a staging name and then renamed, and is never changed: a writer that is
    killed leaves at most a staging file, which nobody reads, and several writers need no lock. A
    key in several shards takes the one whose name sorts first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place: dict[str, tuple[Path, int]] = {}
        self._known: set[Path] = set()

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of ``keys`` without a vector, each once, sorted."""
        self._scan()
        return sorted({k for k in keys if k not in self._place})

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
            vectors = _vectors(pq.read_table(path, columns=["vector"])["vector"])
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
        name = hashlib.sha256("\n".join(in_order).encode()).hexdigest()
        values = pa.array(np.ascontiguousarray(vectors[order], np.float32).reshape(-1))
        table = pa.table(
            {
                "key": pa.array(in_order, pa.string()),
                "vector": pa.FixedSizeListArray.from_arrays(values, vectors.shape[1]),
            }
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        staging = self._folder / f".{name}.{uuid.uuid4().hex}.staging"
        pq.write_table(table, staging)
        with staging.open("rb") as file:
            os.fsync(file.fileno())
        staging.replace(self._folder / f"{name}.parquet")

    def _scan(self) -> None:
        new = sorted(set(self._folder.glob("*.parquet")) - self._known)
        for path in new:
            keys = pq.read_table(path, columns=["key"])["key"].to_pylist()
            for row, key in enumerate(keys):
                if key not in self._place or path < self._place[key][0]:
                    self._place[key] = (path, row)
        self._known.update(new)


def _vectors(column: pa.ChunkedArray) -> NDArray[np.float32]:
    width = column.type.list_size
    flat = np.concatenate([c.flatten().to_numpy() for c in column.chunks])
    return flat.reshape(-1, width)
