"""The first session of an environment: both jobs on a few rows, so that Java's classes are kept.

Run it once after an installation: ``python -m spark_jobs.first_session``. Later sessions, the first
night's too, then start in half the time. It does nothing where the archive is there, or where Java
can keep none.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mrlm.bandit_log import Objective
from spark_jobs import build_log, ingest
from spark_jobs.class_archive import archive_of
from spark_jobs.java import java_home
from spark_jobs.raw import TableInput
from spark_jobs.session import spark_session

_NIGHTS = ("2026-01-01", "2026-01-02")
_CLICK = Objective("click", "feedback", event="click", transform="any", missing=0.0)
_KEY = "MRLM_FIRST_SESSION_KEY"


def main() -> None:
    """Ingest two nights of one request each, build their logs, and end: Java then writes."""
    archive = archive_of(java_home())
    if archive is None or archive.is_file():
        return
    os.environ[_KEY] = "of rows that nobody keeps"
    with tempfile.TemporaryDirectory(prefix="mrlm-first-") as folder:
        run(spark_session(), Path(folder))


def run(spark: Any, folder: Path) -> None:
    """Both jobs over rows written into an empty folder."""
    ingested = {n: folder / "ingest" / n for n in _NIGHTS}
    for place, night in enumerate(_NIGHTS):
        job = ingest.IngestJob(
            night=night,
            tables={t: _written(folder / t / night, rows) for t, rows in _raw(night).items()},
            out=str(ingested[night]),
            previous=tuple(ingest.Previous(n, str(ingested[n])) for n in _NIGHTS[:place]),
            windows={"click": 0},
            key_variable=_KEY,
        )
        ingest.run(spark, job)
    built = build_log.BuildLogJob(
        as_of=_NIGHTS[-1],
        nights=_NIGHTS,
        impressions={n: str(out / "impressions") for n, out in ingested.items()},
        feedback={n: str(out / "feedback") for n, out in ingested.items()},
        objectives=(_CLICK,),
        history_objective=_CLICK.name,
        out=str(folder / "log"),
    )
    build_log.run(spark, built)


def _raw(night: str) -> dict[str, list[dict[str, Any]]]:
    request = {"request_id": night, "ts": f"{night}T10:00:00Z", "item_id": "a"}
    shown = {"user_id": "u", "scene": "home", "position": 1, "policy_id": "p", "propensity": 0.5}
    offered = {"candidates": ["a", "b"], "candidate_propensities": [0.5, 0.5], "context": {}}
    return {
        "impressions": [{**request, **shown, **offered}],
        "feedback": [{**request, "event_id": night, "event": "click", "value": 1.0}],
        "items": [
            {"item_id": i, "text": f"item {i}", "category": "x|y", "attributes": {"size": 1.5}}
            for i in "ab"
        ],
    }


def _written(folder: Path, rows: list[dict[str, Any]]) -> TableInput:
    folder.mkdir(parents=True)
    (folder / "part.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return TableInput((str(folder),))


if __name__ == "__main__":
    main()
