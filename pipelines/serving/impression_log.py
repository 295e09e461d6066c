"""What was served, as the ingestion reads it: JSON lines in the partition of their night."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

from pipelines.running.open_night import night_at
from pipelines.settings.ingestion import Ingestion
from pipelines.settings.night_path import night_path
from pipelines.settings.served_path import PREFIX, served_column

Flush = Literal["answer", "second", "never"]


class ImpressionLog:
    """Appends rows to one file a night and process; each answer is one write.

    A process that is killed leaves whole lines only, but for at most the one that was being
    written, which the ingestion quarantines. What a full disk takes only a part of is taken back,
    so the next answer's rows begin a line of their own.

    Args:
        path: folder with {night}, where the night's impressions lie.
        columns: of the settings' table of impressions, see ``served_column``.
        ingestion: says which night a time lies in.
        flush: when rows are forced to the disk: before each answer leaves, at most once a second,
            or when the system does.
    """

    def __init__(
        self, path: str, columns: Mapping[str, object], ingestion: Ingestion, flush: Flush
    ) -> None:
        self._path, self._ingestion = path, ingestion
        self._columns = columns
        self._flush = flush
        self._night = ""
        self._file: IO[bytes] | None = None
        self._synced = 0.0
        self._name = _new_name()

    def append(self, rows: Sequence[Mapping[str, Any]], at: datetime) -> None:
        """Write the rows of one answer.

        Raises:
            OSError: they could not be written; nothing of them counts as served.
        """
        night = night_at(at, self._ingestion)
        if night != self._night or self._file is None:
            self._open(night)
        named = [{served_column(k, self._columns): v for k, v in row.items()} for row in rows]
        lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in named).encode()
        file = self._file
        if file is None:
            raise OSError(f"the impressions of night {night} have no file")
        before = os.fstat(file.fileno()).st_size
        try:
            if file.write(lines) != len(lines):
                raise OSError(f"{file.name}: the disk took only a part of an answer's rows")
            now = time.monotonic()
            if self._flush == "answer" or (self._flush == "second" and now - self._synced >= 1.0):
                os.fsync(file.fileno())
                self._synced = now
        except OSError:
            self._take_back(file, before)
            raise

    def close(self) -> None:
        """Force what was written to the disk and close the file."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _take_back(self, file: IO[bytes], size: int) -> None:
        """Cut the file to its size before; where that fails, what comes goes into another file."""
        try:
            file.truncate(size)
        except OSError:
            file.close()
            self._file, self._name = None, _new_name()

    def _open(self, night: str) -> None:
        self.close()
        folder = Path(night_path(self._path, night))
        folder.mkdir(parents=True, exist_ok=True)
        # Unbuffered: a line is with the system before its answer leaves.
        self._file = (folder / self._name).open("ab", buffering=0)
        # Who takes a person out of the log sees that the file is still written.
        fcntl.flock(self._file, fcntl.LOCK_SH)
        self._night = night


def _new_name() -> str:
    """Another process of this machine, or a later one, never shares a file."""
    return f"{PREFIX}{socket.gethostname()}-{os.getpid()}-{time.time_ns()}.jsonl"
