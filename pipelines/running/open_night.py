"""A night that is not over: what has arrived of it until a time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pipelines.contract.context import NightContext
from pipelines.contract.workspace import Workspace, nights_in
from pipelines.failures.errors import DataError
from pipelines.running.run_stage import Outcome, run_stage
from pipelines.settings.ingestion import Ingestion
from pipelines.stages.ingest import Ingest


def ingest_open(context: NightContext, until: datetime) -> Outcome:
    """Ingest the rows of an open night that are of a time before ``until``.

    By the code of the whole night, and beside the lake, ``open/<night>/ingest``: each call replaces
    the one before it. No stage of a night reads it.

    Args:
        context: of the open night.
        until: with its offset.

    Raises:
        DataError: the night is ingested whole, or had not begun; or see ``Ingest.run``.
    """
    night = context.night
    if context.lake("ingest").manifest() is not None:
        raise DataError(
            f"night {night} is ingested whole already: nothing of it is still to come. "
            f"'mrlm night {night}' reads it again where its files have changed"
        )
    if night_at(until, context.settings.ingestion) < night:
        raise DataError(f"night {night} had not begun at {until.isoformat()}: name an earlier one")
    return run_stage(Ingest(until=until), context)


def closed_nights(workspace: Workspace) -> list[Path]:
    """Folders of open nights that are ingested whole by now."""
    nights = nights_in(workspace.open_nights)
    closed = [n for n in nights if workspace.lake_stage(n, "ingest").is_dir()]
    return [workspace.open_nights / n for n in closed]


def night_at(at: datetime, ingestion: Ingestion) -> str:
    """The night, as an ISO date, that a time with an offset lies in.

    As ``spark_jobs.contract.clock.NightClock`` tells it of a row.
    """
    zone = ZoneInfo(ingestion.time_zone)
    hour, minute = map(int, ingestion.night_starts.split(":"))
    local = at.astimezone(zone).replace(tzinfo=None) - timedelta(hours=hour, minutes=minute)
    following = local.date() + timedelta(days=1)
    # When the clocks go back across the start of a night, it stays begun.
    begins = datetime.combine(following, time(hour, minute), zone)
    return (following if at >= begins.astimezone(UTC) else local.date()).isoformat()


def time_given(text: str, ingestion: Ingestion, now: datetime) -> datetime:
    """The time that a person wrote: ``now``, or ISO 8601, on the clock of nights without an offset.

    Raises:
        ValueError: it is neither.
    """
    if text.strip().lower() == "now":
        return now
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"--until {text!r} is no time: write 'now', or a time such as 2026-11-20T15:00"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(ingestion.time_zone))
