"""Nights of raw logs that tests write themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spark_jobs.ingestion.ingest_job import IngestJob, Previous
from spark_jobs.reading.table_files import TableInput

Row = dict[str, Any]


class Logs:
    """Raw logs of several nights under one folder, as JSON lines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, night: str, **tables: Iterable[Row | str]) -> None:
        """Write tables of a night; a text row is written as it is."""
        for table in ("impressions", "feedback", "items"):
            path = self.folder / table / night / "part.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [r if isinstance(r, str) else json.dumps(r) for r in tables.get(table, ())]
            path.write_text("".join(line + "\n" for line in lines))

    def job(self, night: str, previous: Iterable[str] = (), **changes: Any) -> IngestJob:
        """The job that ingests a night after the ``previous`` ones."""
        job = IngestJob(
            night=night,
            tables={
                t: TableInput((str(self.folder / t / night),))
                for t in ("impressions", "feedback", "items")
            },
            out=str(self.folder / "out" / night),
            previous=tuple(Previous(n, str(self.folder / "out" / n)) for n in previous),
            windows={"click": 0, "buy": 1},
        )
        return replace(job, **changes)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def _impression(request: str, position: int = 1, **changes: Any) -> Row:
    row: Row = {
        "request_id": request,
        "ts": "2026-11-10T10:00:00Z",
        "user_id": "user-secret-1",
        "scene": "home",
        "position": position,
        "item_id": "a",
        "propensity": 0.5,
        "candidates": ["a", "b"],
        "candidate_propensities": [0.5, 0.5],
        "policy_id": "p0",
        "context": {"hour": 10},
    }
    return row | changes


def _event(event_id: str, request: str, **changes: Any) -> Row:
    row: Row = {
        "event_id": event_id,
        "request_id": request,
        "item_id": "a",
        "ts": "2026-11-10T11:00:00Z",
        "event": "click",
        "value": 1.0,
    }
    return row | changes


def _items(*names: str, **changes: Any) -> list[Row]:
    return [
        {"item_id": n, "text": f"Item {n}", "category": "x|y", "attributes": {"size": 1.5}}
        | changes
        for n in names
    ]


@pytest.fixture(scope="session")
def impression():
    """Make an impression row of night 2026-11-10, with changes."""
    return _impression


@pytest.fixture(scope="session")
def event():
    """Make a feedback row of night 2026-11-10, with changes."""
    return _event


@pytest.fixture(scope="session")
def items():
    """Make item rows."""
    return _items
