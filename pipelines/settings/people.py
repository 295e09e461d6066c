"""What people hear of a night, and what they read."""

from __future__ import annotations

from pydantic import Field

from mrlm.messages.translation import Language
from pipelines.settings.section import Section


class Notify(Section):
    """Who hears of a failed, stopped, stale, refused or promoted night, and of decisions."""

    command: list[str] = Field(
        default=[], description="Command and arguments; the event comes as JSON on standard input."
    )
    webhook: str | None = Field(None, description="URL that gets the event as a JSON POST.")


class Report(Section):
    """Pages that people read."""

    language: Language = Field(
        "en",
        description="Of the review page and of a night's summary: en (English) or zh (Chinese). "
        "Ledger, memo and logs are records and stay English. A page that was written keeps its "
        "language.",
    )
