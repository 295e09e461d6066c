"""Looking at quarantined rows without showing whose they are."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.failures.errors import DamagedError
from pipelines.settings.model import Settings
from spark_jobs.contract.log_contract import HISTORY

_WIDTH = 200
_SHOWN = {
    "impressions": ("user_id", "ts", "position", "item_id", "propensity", "candidates"),
    "feedback": ("ts", "event", "value", "item_id"),
    "items": ("item_id", "category", "provider", "updated_at"),
    HISTORY: ("user_id", "ts", "event", "value", "item_id"),
}


def counts_of(folder: Path) -> dict[tuple[str, str], int]:
    """Rows by table and reason, most first."""
    table = _read(folder, ["table", "reason"])
    pairs = zip(table["table"].to_pylist(), table["reason"].to_pylist(), strict=True)
    return dict(Counter(pairs).most_common())


def shown_rows(folder: Path, settings: Settings, limit: int) -> Iterator[str]:
    """The first rows as lines: reason, file, line, and what may be shown of the raw text.

    Of a row only the contract's own columns are shown, without context and session, and with a
    pseudonym in place of the user.

    Raises:
        ValueError: there is no key to make pseudonyms with.
    """
    key = os.environ.get(settings.ingestion.user_key_variable, "").encode()
    if limit <= 0:
        return
    if not key:
        raise ValueError(
            f"set {settings.ingestion.user_key_variable}: without it users cannot be shown as "
            "pseudonyms, and so no row is shown"
        )
    table = _read(folder).slice(0, limit)
    for row in table.to_pylist():
        names, columns = _plain(_SHOWN[row["table"]], settings.inputs.table(row["table"]).columns)
        raw = _shown(row["raw"] or "", names, columns, key)[:_WIDTH]
        yield f"    {row['reason']}  {row['file']}:{row['line']}  {raw}"


def _plain(
    names: tuple[str, ...], sources: Mapping[str, str | list[str]]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names that may be shown: each a column of its own, and none that names the user too."""
    columns = {n: s for n, s in sources.items() if isinstance(s, str)}
    user = sources.get("user_id", "user_id")
    held = {user} if isinstance(user, str) else set(user)
    shown = tuple(
        n
        for n in names
        if (n in columns or n not in sources) and (n == "user_id" or columns.get(n, n) not in held)
    )
    return shown, columns


def _read(folder: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(folder, columns=columns, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        night = folder.parent.parent.name
        raise DamagedError(
            f"{folder} holds a damaged file ({error}): "
            f"'mrlm stage ingest --night {night} --force' writes it anew"
        ) from error


def _shown(raw: str, names: tuple[str, ...], columns: dict[str, str], key: bytes) -> str:
    """A row's known columns; text that is no JSON object is not shown at all."""
    try:
        row: Any = json.loads(raw)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        return f"(not shown: {len(raw)} characters that are no JSON object)"
    found = {n: row[columns.get(n, n)] for n in names if columns.get(n, n) in row}
    if found.get("user_id") is not None:
        digest = hmac.new(key, str(found["user_id"]).encode(), hashlib.sha256)
        found["user_id"] = f"pseudonym:{digest.hexdigest()[:12]}"
    return json.dumps(found)
