"""A night's raw rows as they will be read."""

from __future__ import annotations

from typing import Any

from pipelines.contract.context import NightContext
from pipelines.failures.errors import DataError
from pipelines.nights.arrivals import key_ids, table_input
from pipelines.nights.lake import ingested
from pipelines.settings.night_path import night_path


def shown_rows(context: NightContext, rows: int) -> dict[str, list[dict[str, Any]]]:
    """Table to its first rows, see ``spark_jobs.preview``.

    Raises:
        DataError: a file or the key is missing, or a file cannot be read.
    """
    from spark_jobs.errors import InputError
    from spark_jobs.ingest_job import IngestJob
    from spark_jobs.log_contract import TABLES
    from spark_jobs.preview import preview

    settings = context.settings
    sets = settings.inputs.candidate_set_path
    job = IngestJob(
        night=context.night,
        tables={table: table_input(context, table, bool(ingested(context))) for table in TABLES},
        out="",
        text_fields=tuple(settings.inputs.text_fields),
        attribute_fields=tuple(settings.inputs.attribute_fields),
        candidate_set_path=night_path(sets, context.night) if sets else None,
        clock=settings.ingestion.clock(),
        screening=settings.ingestion.screening.rules(),
        key_variable=settings.ingestion.user_key_variable,
        known_keys=key_ids(ingested(context).values()),
        propensity=settings.ingestion.propensity,
        feedback_names=settings.inputs.feedback_names,
    )
    try:
        return preview(context.spark(), job, rows)
    except InputError as error:
        raise DataError(f"night {context.night}: {error}") from error
