"""Ingest: raw rows become clean tables or quarantine; every row is counted once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json, of_raw
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.deliveries import sent_events
from pipelines.nights.forgotten_people import forgotten_people
from pipelines.nights.lake import TABLES, ingested, shift, table_passed

if TYPE_CHECKING:
    from spark_jobs.forgotten_rows import ForgottenRows
    from spark_jobs.raw import TableInput


@dataclass(frozen=True)
class Arriving:
    """What a night's ingestion knows beside its rows.

    Attributes:
        earlier: manifests of nights that tonight's rows may repeat or belong to.
        sent: events that the logger counted, by name; None: it does not count.
    """

    earlier: dict[str, Manifest]
    sent: dict[str, int] | None


class Ingest:
    """Spark reads tonight's arrivals."""

    name = "ingest"
    place: Literal["lake"] = "lake"
    sections = ("inputs", "ingestion", "objectives")
    form = 2

    def plan(self, context: NightContext) -> Arriving:
        """The earlier nights that rows may repeat or belong to, and the logger's own count."""
        return Arriving(_earlier(context), sent_events(context))

    def inputs(self, context: NightContext, plan: Arriving) -> dict[str, str]:
        """Tonight's raw rows, and the earlier nights that duplicates are looked up in."""
        found = {"key": _key_id(context, plan.earlier)}
        for name, place in raw_inputs(context).items():
            table = name.removeprefix("raw/").replace("_", " ")
            found[name] = _raw_fingerprint(context, table, place)
        if plan.sent is not None:
            found["raw/sent"] = of_json(plan.sent)
        for night, manifest in plan.earlier.items():
            passed = ",".join(_passed(context, night))
            found[f"ingest/{night}"] = f"{manifest.output_fingerprint()} {passed}"
        return found

    def run(self, context: NightContext, plan: Arriving, out: Path) -> Product:
        """Classify every row, write the clean tables, the catalogue and the quarantine."""
        from spark_jobs import ingest
        from spark_jobs.errors import InputError
        from spark_jobs.pseudonyms import LEAST_KEY

        settings = context.settings
        variable = settings.ingestion.user_key_variable
        if len(os.environ.get(variable, "").encode()) < LEAST_KEY:
            context.log(self.name).warning(
                "the key in %s has fewer than %d bytes and can be guessed; it is taken because "
                "earlier nights were made with it; a workspace of its own can have a longer one",
                variable,
                LEAST_KEY,
            )
        job = ingest.IngestJob(
            night=context.night,
            tables={t: _source(context, t) for t in TABLES},
            text_fields=tuple(settings.inputs.text_fields),
            attribute_fields=tuple(settings.inputs.attribute_fields),
            candidate_set_path=_formatted(settings.inputs.candidate_set_path, context.night),
            clock=settings.ingestion.clock(),
            known_item_fields=_known_item_fields(plan.earlier),
            out=str(out),
            previous=tuple(
                ingest.Previous(n, str(_checked(context, n)), _passed(context, n))
                for n in plan.earlier
            ),
            late_nights=settings.ingestion.late_nights,
            bot_requests_per_night=settings.ingestion.bot_requests_per_night,
            screening=settings.ingestion.screening.rules(),
            windows=event_windows(context),
            key_variable=variable,
            known_keys=_known_keys(context, plan.earlier),
            forgotten=_forgotten(context),
            scrub_contacts=settings.ingestion.scrub_contacts,
            propensity=settings.ingestion.propensity,
        )
        try:
            counts = ingest.run(context.spark(), job)
        except InputError as error:
            raise DataError(f"night {context.night}: {error}") from error
        for table in TABLES:
            context.log(self.name).info("%s: %s", table, counts[table])
        # Not the quarantine: it is private, expires, and names files; nothing is built from it.
        made = (*TABLES, "catalog", "late", "left_out", "unread")
        outputs = {name: name for name in made if (out / name).exists()}
        return Product(
            outputs=outputs,
            counts=counts if plan.sent is None else counts | {"sent": plan.sent},
            expiring=("quarantine",),
        )


def raw_inputs(context: NightContext) -> dict[str, str]:
    """Names of the inputs that are raw logs, and where tonight's lie."""
    places = {f"raw/{table}": _path(context, table) for table in TABLES}
    sets = context.settings.inputs.candidate_set_path
    places["raw/candidate_sets"] = _formatted(sets, context.night)
    return {name: place for name, place in places.items() if place is not None}


def _key_id(context: NightContext, earlier: dict[str, Manifest]) -> str:
    """Which pseudonymisation key tonight has.

    Raises:
        DataError: there is none, or it is not that of the nights before.
    """
    from spark_jobs.errors import InputError
    from spark_jobs.pseudonyms import is_known, key_id, user_key

    variable = context.settings.ingestion.user_key_variable
    before = key_ids(earlier.values())
    try:
        key = user_key(variable, _known_keys(context, earlier))
    except InputError as error:
        raise DataError(f"night {context.night}: {error}") from error
    if before and not is_known(key, before):
        raise DataError(
            f"night {context.night}: {variable} holds another key than that of night "
            f"{max(earlier)}: every user would become a new one. Set the old key, or start "
            "a workspace of its own for the new one"
        )
    return key_id(key)


def key_ids(made: Iterable[Manifest]) -> tuple[str, ...]:
    """Ids of the pseudonymisation keys that ingestions were made with."""
    return tuple(sorted({m.counts["key_id"] for m in made}))


def _known_keys(context: NightContext, earlier: dict[str, Manifest]) -> tuple[str, ...]:
    """Ids of the keys of the nights before, and of tonight where it was ingested already."""
    try:
        own = context.lake(STAGE.name).manifest()
    except DamagedError:
        own = None
    return key_ids([*earlier.values(), *([own] if own else [])])


def event_windows(context: NightContext) -> dict[str, int]:
    """Nights after its own in which each event of a slot may still arrive."""
    windows: dict[str, int] = {}
    for objective in context.objectives:
        if objective.source == "feedback":
            known = windows.get(objective.event, 0)
            windows[objective.event] = max(known, objective.window_nights)
    return windows


def _earlier(context: NightContext) -> dict[str, Manifest]:
    """Earlier nights that tonight's rows may repeat or belong to.

    The newest earlier night is always one of them: it carries the catalogue.
    """
    reach = context.settings.ingestion.late_nights + context.settings.final_after + 1
    found = ingested(context)
    since = min(shift(context.night, -reach), max(found, default=context.night))
    return {n: m for n, m in found.items() if n >= since}


def _passed(context: NightContext, night: str) -> tuple[str, ...]:
    """Tables of a night that validation did not stop; a stopped one counts as never delivered."""
    return tuple(t for t in TABLES if table_passed(context, night, t))


def _checked(context: NightContext, night: str) -> Path:
    """Folder of an earlier night's ingestion, after a look at the files that tonight reads."""
    ingest = context.lake(STAGE.name, night)
    manifest = ingest.require()
    passed = _passed(context, night)
    for name in (*passed, *(["catalog"] if "items" in passed else [])):
        ingest.path(name)
    for name in ("late", "left_out"):
        if name in manifest.outputs and passed:
            ingest.path(name)
    return ingest.folder


def _forgotten(context: NightContext) -> ForgottenRows:
    """Whose rows are dropped. It is no input: that somebody is forgotten makes no night anew."""
    from spark_jobs.forgotten_rows import ForgottenRows

    people = forgotten_people(context)
    if not people.hashes:
        return ForgottenRows()
    nights = [n for n in context.workspace.nights() if n != context.night]
    made = [context.lake(STAGE.name, night) for night in nights]
    requests = [str(i.path("forgotten")) for i in made if (i.folder / "forgotten").is_dir()]
    return ForgottenRows(people.salt, people.hashes, tuple(requests))


def _known_item_fields(earlier: dict[str, Manifest]) -> tuple[str, ...]:
    """Fields of the settings that items had until the night before; each night counts them on."""
    newest = earlier.get(max(earlier, default=""))
    return tuple(newest.counts.get("item_fields", ())) if newest else ()


def _path(context: NightContext, table: str) -> str | None:
    """Tonight's path of a table; None for items on a night that brings no new ones."""
    path = context.settings.inputs.table(table).path.replace("{night}", context.night)
    local = "://" not in path
    if table == "items" and local and not Path(path).exists() and ingested(context):
        return None
    return path


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


def _source(context: NightContext, table: str) -> TableInput:
    from spark_jobs.raw import TableInput

    path, place = _path(context, table), context.settings.inputs.table(table)
    return TableInput((path,) if path else (), place.format, place.columns)


def _formatted(path: str | None, night: str) -> str | None:
    return path.replace("{night}", night) if path else None


STAGE = Ingest()
