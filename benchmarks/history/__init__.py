"""A history of nights: what three times as many of them cost in time and in memory.

Both ranges are read by ``mrlm history`` in a process of its own, its Spark session and its start
included. Three times the nights may take 3.3 times as long, and need no more memory.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.history import nights
from benchmarks.ingest._process import Measured
from benchmarks.ingest._process import run as run_process
from benchmarks.rows import Row

_TIME, _MEMORY = 3.3, 1.15


def run(quick: bool) -> list[Row]:
    """30 nights and 90, of 30,000 impressions each; quick: 4 and 12 of 3,000."""
    few, rows = (4, 3_000) if quick else (30, 30_000)
    found = {many: _history(many, rows) for many in (few, 3 * few)}
    short, long = found.values()
    where = f"{3 * few} nights over {few}, of {rows:,} impressions each"
    time, memory = long.seconds / short.seconds, long.gib / short.gib
    return [
        Row(
            f"{where}: time",
            time,
            bar=f"<= {_TIME}",
            holds=time <= _TIME,
            note=f"{long.seconds:,.0f} s and {short.seconds:,.0f} s; processor seconds "
            f"{long.cpu:,.0f} and {short.cpu:,.0f}",
        ).where(not quick),
        Row(
            f"{where}: most resident memory",
            memory,
            bar=f"<= {_MEMORY}",
            holds=memory <= _MEMORY,
            note=f"{long.gib} GiB and {short.gib} GiB, Python and Java together",
        ).where(not quick),
        Row(
            f"{where}: nights that were stopped",
            len(long.result["stopped"]),
            bar="0",
            holds=not long.result["stopped"],
            note=", ".join(long.result["stopped"]),
        ),
    ]


def _history(many: int, rows: int) -> Measured:
    folder = Path(tempfile.mkdtemp(prefix="mrlm-bench-"))
    try:
        nights.write(folder, many, rows)
        return run_process("benchmarks.history.ours", folder)
    finally:
        shutil.rmtree(folder)
