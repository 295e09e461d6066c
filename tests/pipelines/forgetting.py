"""Looking for a person in every file of a workspace, whatever its form."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def holding(folder: Path, *texts: str) -> dict[str, str]:
    """Files below a folder that hold one of the texts, in their bytes or decoded: path to text."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        values = "\n".join(_decoded(path))
        for text in texts:
            if text.encode() in data or text in values:
                found[path.relative_to(folder).as_posix()] = text
    return found


def _decoded(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        table = pq.read_table(path, partitioning=None)
        yield from _texts(table.to_pylist())
        yield from _texts({str(k): str(v) for k, v in (table.schema.metadata or {}).items()})
    elif path.suffix in {".json", ".jsonl"}:
        for line in [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines():
            try:
                yield from _texts(json.loads(line))
            except ValueError:
                yield line
    elif path.suffix == ".db":
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            yield from database.iterdump()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif value is not None:
        yield str(value)
