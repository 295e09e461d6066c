"""A night's raw rows as they will be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError
from pipelines.nights.arrivals import earlier_nights, ingest_job, previous_night


def shown_rows(context: NightContext, rows: int) -> dict[str, list[dict[str, Any]]]:
    """Table to its first rows, see ``spark_jobs.preview``.

    Raises:
        DataError: a file or the key is missing, or a file cannot be read.
    """
    from spark_jobs.contract.errors import InputError
    from spark_jobs.preview import preview

    earlier = earlier_nights(context)
    # Only the catalogue of the nights before is looked at.
    looked_at = earlier if context.settings.inputs.candidates == "catalog" else {}
    previous = tuple(previous_night(context, n, manifest) for n, manifest in looked_at.items())
    job = ingest_job(context, [context], earlier, previous, Path(), bool(earlier))
    try:
        return preview(context.spark(), job, rows)
    except InputError as error:
        raise DataError(f"night {context.night}: {error}") from error
