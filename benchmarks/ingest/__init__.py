"""Ingestion beside DuckDB: a night of logs, read, checked, categorised and written by both.

Both sides read the same files and must count the same. Sessions start before the clock, cold code
counts. Wall time is compared, as users wait for it; processor seconds stand in the notes, since a
shared machine's wall time lies.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.ingest import world
from benchmarks.ingest._process import Job, Measured
from benchmarks.ingest._process import run as run_process
from benchmarks.rows import Row
from pipelines.contract.fingerprints import of_paths, of_raw

_SCRATCH_PER_ROW = 1_500
_RESIDENT_GIB = 8


def run(quick: bool) -> list[Row]:
    """300,000 impressions of 20 candidates; whole: 1, 3 and 10 million, Parquet and JSON."""
    if quick:
        return _night(300_000, "parquet") + _night(300_000, "json")
    rows, speeds = [], {}
    for number in (1_000_000, 3_000_000, 10_000_000):
        for form in ("parquet", "json"):
            if number != 3_000_000 or form == "parquet":
                rows += (found := _night(number, form))
                speeds[number, form] = found[0].ours
    growth = speeds[10_000_000, "parquet"] / speeds[3_000_000, "parquet"]
    bar = ">= 0.8"
    return [*rows, Row("rows/s at 10 M over rows/s at 3 M", growth, bar=bar, holds=growth >= 0.8)]


def _night(number: int, form: world.Format) -> list[Row]:
    """Rows of one size and form."""
    folder = Path(tempfile.mkdtemp(prefix="mrlm-bench-"))
    try:
        free = shutil.disk_usage(folder).free
        needed = number * _SCRATCH_PER_ROW * 2
        if free < needed:
            raise OSError(
                f"{folder} has {free / 1e9:.0f} GB free, and {needed / 1e9:.0f} are needed"
            )
        tables = world.write(folder / "raw", number, form)
        found = {}
        for side in ("duck", "floor", "ours"):
            job = Job(world.NIGHT, tables, form, str(folder / side))
            path = folder / f"{side}.json"
            job.write(path)
            found[side] = run_process(f"benchmarks.ingest.{side}", path)
        # It reads clean tables, which are the same whatever the form of the raw ones was.
        if form == "parquet":
            found["validated"] = run_process("benchmarks.ingest.validated", folder / "ours.json")
        return _rows(number, form, found, folder, tables)
    finally:
        shutil.rmtree(folder)


def _rows(
    number: int, form: str, found: dict[str, Measured], folder: Path, tables: dict[str, str]
) -> list[Row]:
    ours, duck, floor = found["ours"], found["duck"], found["floor"]
    where = f"{number:,} impressions, {form}"
    ratio, speed = ours.seconds / duck.seconds, number / ours.seconds
    # Text has to be parsed by both: of it the ratio alone is asked.
    least = None if form == "json" else 15_000 if number >= 10_000_000 else 10_000
    most = 6 if number >= 10_000_000 and form == "parquet" else 8
    # What Java compiles weighs more than the rows do in a smaller night.
    judged = number >= 1_000_000
    shares = number >= 10_000_000
    differing = sorted(t for t in duck.result if duck.result[t] != ours.result[t])
    clean = _seconds(lambda: of_paths([Path(folder, "ours", t) for t in tables]))
    raw = _seconds(lambda: [of_raw(place) for place in tables.values()])
    cost = f"processor seconds: {ours.cpu} ours, {duck.cpu} DuckDB, {floor.cpu} Spark's floor"
    rows = [
        Row(
            f"{where}: rows/s",
            speed,
            number / duck.seconds,
            bar=f">= {least:,}" if judged and least else "",
            holds=speed >= least if judged and least else None,
            note=f"Spark's floor: {number / floor.seconds:,.0f} rows/s",
        ),
        Row(
            f"{where}: seconds",
            ours.seconds,
            duck.seconds,
            bar=f"<= {most} x DuckDB",
            holds=ratio <= most,
            note=f"{ratio:.1f} x; Spark's floor {floor.seconds} s; {cost}",
        ).where(judged),
        Row(
            f"{where}: tables with other counts",
            len(differing),
            bar="0",
            holds=not differing,
            note=_told(differing, ours, duck),
        ),
        Row(
            f"{where}: resident memory, GiB",
            ours.gib,
            duck.gib,
            bar=f"<= {_RESIDENT_GIB}",
            holds=ours.gib <= _RESIDENT_GIB,
            note="Python and Java together, the most of it",
        ),
        _share(f"{where}: fingerprints of clean tables, share of it", clean, ours, 0.05, shares),
        _share(f"{where}: fingerprints of raw tables, share of it", raw, ours, 0.2, shares),
    ]
    if (validated := found.get("validated")) is not None:
        rows.append(
            _share(f"{where}: validation, share of it", validated.seconds, ours, 0.15, shares)
        )
    return rows


def _share(measure: str, seconds: float, ours: Measured, most: float, judged: bool) -> Row:
    share, note = seconds / ours.seconds, f"{seconds:.1f} s"
    if not judged:
        return Row(measure, share, note=note)
    return Row(measure, share, bar=f"<= {most}", holds=share <= most, note=note)


def _told(differing: list[str], ours: Measured, duck: Measured) -> str:
    told = {t: {"ours": ours.result[t], "DuckDB": duck.result[t]} for t in differing}
    return json.dumps(told or ours.result)


def _seconds(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started
