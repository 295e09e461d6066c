"""Ingest: raw rows become clean tables or quarantine; every row is counted once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json, of_raw
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product
from pipelines.contract.workspace import StagePlace
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.arrivals import (
    INGEST,
    PRIVATE,
    earlier_nights,
    ingest_job,
    key_of_night,
    passed_tables,
    previous_night,
    raw_inputs,
    read_tables,
    require_clock,
)
from pipelines.nights.deliveries import sent_events
from pipelines.nights.lake import TABLES
from spark_jobs.contract.log_contract import HISTORY


@dataclass(frozen=True)
class Arriving:
    """What a night's ingestion knows beside its rows.

    Attributes:
        earlier: manifests of nights that tonight's rows may repeat or belong to.
        sent: events that the logger counted, by name; None: it does not count, or not yet.
    """

    earlier: dict[str, Manifest]
    sent: dict[str, int] | None


class Ahead(Protocol):
    """Nights that were ingested before their turn."""

    def take(
        self, context: NightContext, earlier: Mapping[str, Manifest], out: Path
    ) -> dict[str, Any] | None:
        """Move a night into ``out``; returns its counts.

        None, and nothing is moved, where it was made from something else than there is now.
        """
        ...


class Ingest:
    """Spark reads tonight's arrivals.

    Args:
        ahead: nights that were ingested before their turn.
        until: the night is not over: rows of this time and later are taken as not yet there, and
            the output lies apart from the lake.
    """

    name = INGEST
    sections = ("inputs", "ingestion", "objectives")
    form = 2

    def __init__(self, ahead: Ahead | None = None, until: datetime | None = None) -> None:
        self._ahead = ahead
        self._until = until
        self.place: StagePlace = "lake" if until is None else "open"

    def plan(self, context: NightContext) -> Arriving:
        """The earlier nights that rows may repeat or belong to, and the logger's own count.

        A logger counts a night once it is over.
        """
        sent = sent_events(context) if self._until is None else None
        return Arriving(earlier_nights(context), sent)

    def inputs(self, context: NightContext, plan: Arriving) -> dict[str, str]:
        """Tonight's raw rows, and the earlier nights that duplicates are looked up in."""
        require_clock(context, plan.earlier)
        found = {"key": key_of_night(context, plan.earlier)}
        for name, place in raw_inputs(context).items():
            table = name.removeprefix("raw/").replace("_", " ")
            found[name] = _raw_fingerprint(context, table, place)
        if plan.sent is not None:
            found["raw/sent"] = of_json(plan.sent)
        if self._until is not None:
            found["until"] = self._until.isoformat()
        for night, manifest in plan.earlier.items():
            passed = ",".join(passed_tables(context, night))
            found[f"ingest/{night}"] = f"{manifest.output_fingerprint()} {passed}"
        return found

    def run(self, context: NightContext, plan: Arriving, out: Path) -> Product:
        """Classify every row, write the clean tables, the catalogue and the quarantine."""
        from spark_jobs.tables.pseudonyms import LEAST_KEY

        variable = context.settings.ingestion.user_key_variable
        if len(os.environ.get(variable, "").encode()) < LEAST_KEY:
            context.log(self.name).warning(
                "the key in %s has fewer than %d bytes and can be guessed; it is taken because "
                "earlier nights were made with it; a workspace of its own can have a longer one",
                variable,
                LEAST_KEY,
            )
        ahead = None if self._ahead is None else self._ahead.take(context, plan.earlier, out)
        counts = _ingested(context, plan, out, self._until) if ahead is None else ahead
        for table in read_tables(context):
            context.log(self.name).info("%s: %s", table, counts[table])
        # Not what is private: it expires, and the tables below are all that is learned from.
        made = (*TABLES, HISTORY, "catalog", "late", "left_out", "unread")
        outputs = {name: name for name in made if (out / name).exists()}
        if plan.sent is not None:
            counts = counts | {"sent": plan.sent}
        # What validation reads of them, as it was: forgetting people changes the counts themselves.
        counts = counts | {"counted": of_json(counts)}
        return Product(outputs=outputs, counts=counts, expiring=PRIVATE)


def _ingested(
    context: NightContext, plan: Arriving, out: Path, until: datetime | None
) -> dict[str, Any]:
    """Ingest tonight into ``out``; returns its counts."""
    from spark_jobs import ingest
    from spark_jobs.contract.errors import InputError

    previous = tuple(previous_night(context, n, manifest) for n, manifest in plan.earlier.items())
    job = ingest_job(context, [context], plan.earlier, previous, out, bool(plan.earlier), until)
    try:
        return ingest.run(context.spark(), job)
    except InputError as error:
        raise DataError(f"night {context.night}: {error}") from error


def _raw_fingerprint(context: NightContext, table: str, path: str) -> str:
    try:
        return of_raw(path)
    except FileNotFoundError as error:
        raise DataError(
            f"night {context.night}: table {table} is not at {path}; check that the logger has "
            f"delivered it, or correct inputs.{table}.path in the settings"
        ) from error
    except DamagedError as error:
        raise DataError(f"night {context.night}, table {table}: {error}") from error


STAGE = Ingest()
