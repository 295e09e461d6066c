"""Write the archive of Java's classes: a tiny night is ingested, and what that loaded is kept.

Run by infra/setup.sh once all is installed. Without an archive all goes on, and starts slower.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

_NIGHT = "2026-01-02"
_SECONDS = 600
_ROWS = {
    "items": {"item_id": "a", "ts": f"{_NIGHT}T00:00:00Z", "text": "a text"},
    "impressions": {
        "request_id": "r",
        "ts": f"{_NIGHT}T10:00:00Z",
        "user_id": "u",
        "scene": "home",
        "position": 1,
        "item_id": "a",
        "propensity": 0.5,
        "policy_id": "p",
        "candidates": ["a", "b"],
        "candidate_propensities": [0.5, 0.5],
    },
    "feedback": {
        "event_id": "e",
        "request_id": "r",
        "item_id": "a",
        "ts": f"{_NIGHT}T11:00:00Z",
        "event": "click",
        "value": 1.0,
    },
}


def main() -> None:
    """Write it, unless it is there; say so where that does not work."""
    from spark_jobs.runtime import class_archive
    from spark_jobs.runtime.java import java_home

    archive = class_archive.place(java_home())
    if archive.is_file():
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".classes-") as folder:
        new = Path(folder) / archive.name
        try:
            ingest_a_night(Path(folder), class_archive.writing(new))
            # Whole or not at all: Java maps what it finds.
            new.replace(archive)
        except Exception as error:
            print(f"  no archive of Java's classes, starts are slower: {error}", file=sys.stderr)


def ingest_a_night(folder: Path, java_options: str) -> None:
    """Ingest a night of one slot, and end Java."""
    from pyspark.sql import functions as F

    from spark_jobs import ingest
    from spark_jobs.ingestion.ingest_job import IngestJob
    from spark_jobs.reading.table_files import TableInput
    from spark_jobs.runtime.session import end_java, spark_session

    os.environ["MRLM_SETUP_KEY"] = "a key of nobody: no row is kept"
    tables = {}
    for table, row in _ROWS.items():
        (folder / table).mkdir()
        (folder / table / "part.jsonl").write_text(json.dumps(row) + "\n")
        tables[table] = TableInput((str(folder / table),))
    spark = spark_session(java_options=java_options)
    job = IngestJob(
        night=_NIGHT,
        tables=tables,
        out=str(folder / "out"),
        windows={"click": 0},
        key_variable="MRLM_SETUP_KEY",
    )
    ingest.run(spark, job)
    for table in ("impressions", "feedback"):
        rows = spark.read.parquet(f"{folder}/out/{table}")
        numbers = F.count(F.lit(1)).alias("rows"), F.max("ts").alias("last")
        rows.observe("seen", *numbers).groupBy("request_id").count().collect()
        rows.limit(1).toArrow()
    # It writes the archive as it ends.
    end_java(_SECONDS)


if __name__ == "__main__":
    main()
