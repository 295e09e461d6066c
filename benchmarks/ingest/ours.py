"""Our ingestion of one night, as a stage runs it; ``python -m benchmarks.ingest.ours job.json``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.ingest._process import Job, finish
from spark_jobs import ingest
from spark_jobs.ingestion.ingest_job import IngestJob
from spark_jobs.reading.table_files import TableInput
from spark_jobs.runtime.session import spark_session

_KEY_VARIABLE = "INGEST_BENCHMARK_KEY"


def main() -> None:
    """Run the job in the JSON file that the first argument names."""
    job = Job.read(Path(sys.argv[1]))
    os.environ[_KEY_VARIABLE] = job.key
    night = IngestJob(
        night=job.night,
        tables={t: TableInput((folder,), job.form) for t, folder in job.tables.items()},
        out=job.out,
        late_nights=job.late_nights,
        bot_requests_per_night=job.bot_requests,
        windows=job.windows,
        key_variable=_KEY_VARIABLE,
    )
    spark = spark_session(size=job.bytes())
    finish(lambda: _counts(ingest.run(spark, night)))


def _counts(found: dict[str, Any]) -> dict[str, Any]:
    """Those that the peer has too."""
    return {name: found[name] for name in ("items", "impressions", "feedback", "catalog")}


if __name__ == "__main__":
    main()
