"""Looking at quarantined rows without showing whose they are."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.settings import Settings

_WIDTH = 200


def counts_of(folder: Path) -> dict[tuple[str, str], int]:
    """Rows by table and reason, most first."""
    table = pq.read_table(folder, columns=["table", "reason"], partitioning=None)
    pairs = zip(table["table"].to_pylist(), table["reason"].to_pylist(), strict=True)
    return dict(Counter(pairs).most_common())


def shown_rows(folder: Path, settings: Settings, limit: int) -> Iterator[str]:
    """The first rows as lines: reason, file, line, and the raw text with pseudonyms."""
    if limit <= 0:
        return
    table = pq.read_table(folder, partitioning=None).slice(0, limit)
    name = settings.inputs.impressions.columns.get("user_id", "user_id")
    key = os.environ.get(settings.ingestion.user_key_variable, "").encode()
    for row in table.to_pylist():
        raw = _without_user(row["raw"] or "", name, key)[:_WIDTH]
        yield f"    {row['reason']}  {row['file']}:{row['line']}  {raw}"


def _without_user(raw: str, name: str, key: bytes) -> str:
    """The raw text with the user id replaced; text that cannot be parsed is not shown at all."""
    try:
        row: Any = json.loads(raw)
    except ValueError:
        return f"(not shown: {len(raw)} characters that are no JSON)"
    if isinstance(row, dict) and row.get(name) is not None:
        digest = hmac.new(key or b"?", str(row[name]).encode(), hashlib.sha256)
        row[name] = f"pseudonym:{digest.hexdigest()[:12]}"
    return json.dumps(row)
