"""What decides a night's ingestion, and nights that are ingested together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from spark_jobs.contract.clock import NightClock
from spark_jobs.contract.log_contract import TABLES
from spark_jobs.reading.table_files import TableInput
from spark_jobs.tables.forgotten_rows import ForgottenRows
from spark_jobs.tables.screening import ScreeningRules


@dataclass(frozen=True)
class Previous:
    """The output of an earlier night's ingestion.

    Attributes:
        night: its arrival night, ISO date.
        folder: its output folder.
        tables: those that passed validation; the others are taken as never having arrived.
    """

    night: str
    folder: str
    tables: tuple[str, ...] = TABLES


@dataclass(frozen=True)
class IngestJob:
    """Everything that decides what a night's ingestion writes.

    Attributes:
        night: arrival night, ISO date.
        tables: ``impressions``, ``feedback`` and ``items``; ``history``, where there is one.
        out: folder to write; replaced.
        text_fields: item columns joined into the text.
        attribute_fields: numeric item columns that are taken as attributes.
        candidate_set_path: see ``candidate_sets``.
        known_item_fields: those of the two that a row of an earlier night had.
        clock: what a night is, and how times are read.
        previous: earlier nights, for the catalogue, duplicates and attribution.
        late_nights: impressions that arrive more nights after their own are late.
        bot_requests_per_night: a user with more requests is a bot; 0: nobody is.
        screening: what more is quarantined.
        windows: event to the longest ``window_nights`` of the objectives that read it.
        key_variable: environment variable with the key of the user pseudonyms.
        known_keys: ids of the keys of the nights before.
        forgotten: whose rows are dropped.
        keep_user_ids: whether the map from pseudonyms to user ids is kept.
        scrub_contacts: whether contacts in free text are replaced.
        propensity: ``logged``: an impression without one is quarantined; ``estimated``: it is
            kept with a null.
        candidates: ``logged``, or ``catalog``: an impression without any gets all known items.
        feedback_names: ``slot``, or ``request``: an event without an item belongs to the only
            slot of its request.
        until: rows of this time and later are taken as not yet there, ISO 8601 with its offset;
            None: every row is.
    """

    night: str
    tables: dict[str, TableInput]
    out: str
    text_fields: tuple[str, ...] = ("text",)
    attribute_fields: tuple[str, ...] = ()
    candidate_set_path: str | None = None
    known_item_fields: tuple[str, ...] = ()
    clock: NightClock = field(default_factory=NightClock)
    previous: tuple[Previous, ...] = ()
    late_nights: int = 2
    bot_requests_per_night: int = 500
    screening: ScreeningRules = field(default_factory=ScreeningRules)
    windows: dict[str, int] = field(default_factory=dict)
    key_variable: str = "MRLM_USER_KEY"
    known_keys: tuple[str, ...] = ()
    forgotten: ForgottenRows = field(default_factory=ForgottenRows)
    keep_user_ids: bool = False
    scrub_contacts: bool = False
    propensity: Literal["logged", "estimated"] = "logged"
    candidates: Literal["logged", "catalog"] = "logged"
    feedback_names: Literal["slot", "request"] = "slot"
    until: str | None = None

    @property
    def candidate_sets(self) -> TableInput | None:
        """The table (candidate_set_id, candidates), for logs that name their candidate sets.

        Its format, and the delimiter of its CSV, are those of the impressions.
        """
        if self.candidate_set_path is None:
            return None
        shown = self.tables["impressions"]
        return TableInput((self.candidate_set_path,), shown.format, delimiter=shown.delimiter)

    def to_json(self) -> str:
        """The job as JSON, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> IngestJob:
        """The inverse of ``to_json``."""
        data = json.loads(text)
        data["tables"] = {k: TableInput.from_dict(v) for k, v in data["tables"].items()}
        data["clock"] = NightClock(**data.get("clock", {}))
        if "screening" in data:
            data["screening"] = ScreeningRules.from_dict(data["screening"])
        data["forgotten"] = ForgottenRows.from_dict(data.get("forgotten", {}))
        data["previous"] = tuple(
            Previous(**{**p, "tables": tuple(p["tables"])}) for p in data.get("previous", [])
        )
        for name in ("text_fields", "attribute_fields", "known_item_fields", "known_keys"):
            if name in data:
                data[name] = tuple(data[name])
        return cls(**data)


class Nights:
    """Jobs of one or more nights that run together.

    They differ in their night, tables, candidate sets, output and the nights before them alone. A
    job may name a night of another one as ``previous``, whose output is not there yet: its rows are
    taken as passed.

    Attributes:
        jobs: oldest night first.
        names: their nights, ISO dates.
    """

    def __init__(self, jobs: Sequence[IngestJob]) -> None:
        self.jobs = tuple(sorted(jobs, key=lambda job: job.night))
        self.names = tuple(job.night for job in self.jobs)
        if len({repr(_common(job)) for job in self.jobs}) > 1:
            raise ValueError(f"nights {self.names} have different settings")

    @property
    def common(self) -> IngestJob:
        """The first job: what all of them have in common."""
        return self.jobs[0]

    def job_of(self, night: str) -> IngestJob:
        """The job of one of the nights."""
        return self.jobs[self.names.index(night)]

    @property
    def earlier(self) -> list[Previous]:
        """Nights before all of them, oldest first."""
        found = {p.night: p for job in self.jobs for p in job.previous}
        return [p for n, p in sorted(found.items()) if n < self.names[0]]

    @property
    def since(self) -> dict[str, str]:
        """Night to the oldest night that it looks back to, itself where it looks back to none."""
        return {j.night: min([j.night, *(p.night for p in j.previous)]) for j in self.jobs}

    def folders(self, table: str, kind: str | None = None) -> list[str]:
        """Folders ``kind`` (default ``table``) of earlier nights, where ``table`` passed."""
        return [f"{p.folder}/{kind or table}" for p in self.earlier if table in p.tables]

    def places(self, name: str) -> dict[str, str]:
        """Night to a folder in its output."""
        return {job.night: f"{job.out}/{name}" for job in self.jobs}


def _common(job: IngestJob) -> IngestJob:
    """What is the same for all nights that run together."""
    return replace(
        job,
        night="",
        tables={},
        candidate_set_path=None,
        out="",
        previous=(),
        known_item_fields=(),
    )
