"""Validation of a night that ``ours`` ingested; ``python -m benchmarks.ingest.validated job.json``.

Without trailing nights: what they add is arrays of their counts.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.ingest._process import Job, finish
from mrlm.bandit_log import Objective
from pipelines.expectations.run import validate_night
from pipelines.settings.input_tables import Inputs, InputTable
from pipelines.settings.model import Settings
from pipelines.settings.users_past import State
from spark_jobs.runtime.session import spark_session


def main() -> None:
    """Validate the output of the job in the JSON file that the first argument names."""
    job = Job.read(Path(sys.argv[1]))
    settings = Settings(
        inputs=Inputs(**{table: InputTable(path=folder) for table, folder in job.tables.items()}),
        state=State(history_objective="click"),
        objectives=[
            Objective("click", "feedback", "north_star", event="click"),
            Objective("buy", "feedback", event="buy", window_nights=1),
        ],
    )
    spark = spark_session(size=job.bytes())
    with tempfile.TemporaryDirectory() as docs:
        out = Path(docs)
        finish(
            lambda: _told(validate_night(spark, Path(job.out), job.night, settings, [], [], out))
        )


def _told(verdict: dict[str, object]) -> dict[str, object]:
    return {"verdict": verdict["verdict"], "tables": verdict["tables"]}


if __name__ == "__main__":
    main()
