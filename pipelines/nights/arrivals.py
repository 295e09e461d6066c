"""What a night's ingestion reads, and what Spark is to do with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.contract.raw_files import raw_files
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.forgotten_people import forgotten_people
from pipelines.nights.lake import TABLES, ingested, shift, table_passed
from pipelines.settings.night_path import night_path
from spark_jobs.contract.log_contract import HISTORY

if TYPE_CHECKING:
    from spark_jobs.ingestion.ingest_job import IngestJob, Previous
    from spark_jobs.reading.table_files import TableInput
    from spark_jobs.tables.forgotten_rows import ForgottenRows

# Name of the stage.
INGEST = "ingest"
# Its folders with raw user ids, closed to others: their files are removed in time, and are no
# output that another stage's fingerprint is made from.
PRIVATE = ("quarantine", "user_ids")


def ingest_job(
    context: NightContext,
    together: Sequence[NightContext],
    earlier: dict[str, Manifest],
    previous: tuple[Previous, ...],
    out: Path,
    later: bool,
    until: datetime | None = None,
) -> IngestJob:
    """What Spark is to do.

    Args:
        context: of the night.
        together: of all nights that are ingested with it.
        earlier: manifests that tell the known keys and item fields.
        previous: nights that rows may repeat or belong to.
        out: folder to write.
        later: whether a night comes before it.
        until: see ``IngestJob``.
    """
    from spark_jobs.ingestion.ingest_job import IngestJob

    settings = context.settings
    return IngestJob(
        night=context.night,
        tables={t: table_input(context, t, later) for t in read_tables(context)},
        text_fields=tuple(settings.inputs.text_fields),
        attribute_fields=tuple(settings.inputs.attribute_fields),
        candidate_set_path=_formatted(settings.inputs.candidate_set_path, context.night),
        clock=settings.ingestion.clock(),
        known_item_fields=_known_item_fields(earlier),
        out=str(out),
        previous=previous,
        late_nights=settings.ingestion.late_nights,
        bot_requests_per_night=settings.ingestion.bot_requests_per_night,
        screening=settings.ingestion.screening.rules(),
        windows=event_windows(context),
        key_variable=settings.ingestion.user_key_variable,
        known_keys=_known_keys(together, earlier),
        forgotten=_forgotten(together),
        keep_user_ids=settings.ingestion.keep_user_ids,
        scrub_contacts=settings.ingestion.scrub_contacts,
        propensity=settings.ingestion.propensity,
        candidates=settings.inputs.candidates,
        feedback_names=settings.inputs.feedback_names,
        until=until.isoformat() if until else None,
    )


def read_tables(context: NightContext) -> tuple[str, ...]:
    """The tables that are read: those of every log, and the history where the settings name one."""
    return TABLES if context.settings.inputs.history is None else (*TABLES, HISTORY)


def raw_inputs(context: NightContext, later: bool | None = None) -> dict[str, str]:
    """Names of the inputs that are raw logs, and where tonight's lie.

    ``later`` says whether a night comes before it; None: by what was ingested.
    """
    later = bool(ingested(context)) if later is None else later
    places = {f"raw/{table}": _path(context, table, later) for table in read_tables(context)}
    sets = context.settings.inputs.candidate_set_path
    places["raw/candidate_sets"] = _formatted(sets, context.night)
    return {name: place for name, place in places.items() if place is not None}


def key_of_night(context: NightContext, earlier: dict[str, Manifest]) -> str:
    """Which pseudonymisation key tonight has.

    Raises:
        DataError: there is none, or it is not that of the nights before.
    """
    from spark_jobs.contract.errors import InputError
    from spark_jobs.tables.pseudonyms import is_known, key_id, user_key

    variable = context.settings.ingestion.user_key_variable
    before = key_ids(earlier.values())
    try:
        key = user_key(variable, _known_keys([context], earlier))
    except InputError as error:
        raise DataError(f"night {context.night}: {error}") from error
    if before and not is_known(key, before):
        raise DataError(
            f"night {context.night}: {variable} holds another key than that of night "
            f"{max(earlier)}: every user would become a new one. Set the old key, or start "
            "a workspace of its own for the new one"
        )
    return key_id(key)


def require_clock(context: NightContext, earlier: dict[str, Manifest]) -> None:
    """Refuse to read a night that begins otherwise than the nights before it.

    Raises:
        DataError: naming both settings.
    """
    from spark_jobs.contract.clock import NightClock

    cut = context.settings.ingestion.clock().cut()
    for night, manifest in sorted(earlier.items(), reverse=True):
        # Before it was a setting, a night was a date of UTC.
        before = manifest.counts.get("clock", NightClock().cut())
        if before != cut:
            told = " and ".join(f"{n} = {before[n]!r}" for n in cut if before[n] != cut[n])
            raise DataError(
                f"night {context.night}: night {night} was read with ingestion.{told}: its rows "
                "would lie in other nights now. Set it back, or read all nights again in a "
                "workspace of its own"
            )


def key_ids(made: Iterable[Manifest]) -> tuple[str, ...]:
    """Ids of the pseudonymisation keys that ingestions were made with."""
    return tuple(sorted({m.counts["key_id"] for m in made}))


def _known_keys(together: Sequence[NightContext], earlier: dict[str, Manifest]) -> tuple[str, ...]:
    """Ids of the keys of the nights before, and of these where they were ingested already."""
    own = []
    for context in together:
        with suppress(DamagedError):
            own.append(context.lake(INGEST).manifest())
    return key_ids([*earlier.values(), *(manifest for manifest in own if manifest)])


def event_windows(context: NightContext) -> dict[str, int]:
    """Nights after its own in which each event of a slot may still arrive."""
    windows: dict[str, int] = {}
    for objective in context.objectives:
        if objective.source == "feedback":
            known = windows.get(objective.event, 0)
            windows[objective.event] = max(known, objective.window_nights)
    return windows


def earlier_nights(context: NightContext) -> dict[str, Manifest]:
    """Earlier nights that tonight's rows may repeat or belong to."""
    found = ingested(context)
    return {n: found[n] for n in near_nights(context, found)}


def near_nights(context: NightContext, nights: Collection[str]) -> list[str]:
    """Those of the ``nights`` before tonight whose rows may come again, or are still waited for.

    The newest is always one of them: it carries the catalogue.
    """
    reach = context.settings.ingestion.late_nights + context.settings.final_after + 1
    since = min(shift(context.night, -reach), max(nights, default=context.night))
    return sorted(n for n in nights if n >= since)


def passed_tables(context: NightContext, night: str) -> tuple[str, ...]:
    """Tables of a night that validation did not stop; a stopped one counts as never delivered."""
    return tuple(t for t in TABLES if table_passed(context, night, t))


def _trusted(context: NightContext, night: str, manifest: Manifest) -> tuple[str, ...]:
    """``_passed``, and the history where the night has one: validation does not judge it."""
    told = (HISTORY,) if HISTORY in manifest.outputs else ()
    return (*passed_tables(context, night), *told)


def previous_night(context: NightContext, night: str, manifest: Manifest) -> Previous:
    """What a job is told of an earlier night, after a look at the files that tonight reads."""
    from spark_jobs.ingestion.ingest_job import Previous

    return Previous(night, str(_checked(context, night)), _trusted(context, night, manifest))


def _checked(context: NightContext, night: str) -> Path:
    """Folder of an earlier night's ingestion, after a look at the files that tonight reads."""
    ingest = context.lake(INGEST, night)
    manifest = ingest.require()
    passed = passed_tables(context, night)
    for name in (*passed, *(["catalog"] if "items" in passed else [])):
        ingest.path(name)
    for name in ("late", "left_out"):
        if name in manifest.outputs and passed:
            ingest.path(name)
    if HISTORY in manifest.outputs:
        ingest.path(HISTORY)
    return ingest.folder


def _forgotten(together: Sequence[NightContext]) -> ForgottenRows:
    """Whose rows are dropped. It is no input: that somebody is forgotten makes no night anew."""
    from spark_jobs.tables.forgotten_rows import ForgottenRows

    context, own = together[0], {c.night for c in together}
    people = forgotten_people(context)
    if not people.hashes:
        return ForgottenRows()
    made = [context.lake(INGEST, n) for n in context.workspace.nights() if n not in own]
    requests = [str(i.path("forgotten")) for i in made if (i.folder / "forgotten").is_dir()]
    return ForgottenRows(people.salt, people.hashes, tuple(requests))


def _known_item_fields(earlier: dict[str, Manifest]) -> tuple[str, ...]:
    """Fields of the settings that items had until the night before; each night counts them on."""
    newest = earlier.get(max(earlier, default=""))
    return tuple(newest.counts.get("item_fields", ())) if newest else ()


def _path(context: NightContext, table: str, later: bool) -> str | None:
    """Tonight's path of a table; None for items on a ``later`` night that brings no new ones."""
    path = night_path(context.settings.inputs.table(table).path, context.night)
    if table == "items" and "://" not in path and later and not _is_there(path):
        return None
    return path


def _is_there(path: str) -> bool:
    try:
        raw_files(path)
    except FileNotFoundError:
        return False
    return True


def table_input(context: NightContext, table: str, later: bool) -> TableInput:
    """Where tonight's rows of a table lie and how they are read.

    Of items there may be none on a night that is not the first, a ``later`` one.
    """
    from spark_jobs.reading.row_shape import RowShape
    from spark_jobs.reading.table_files import TableInput

    path, place = _path(context, table, later), context.settings.inputs.table(table)
    timed = place.whole and table != "items"
    shape = RowShape(
        place.rows,
        {p: (t,) if isinstance(t, str) else tuple(t) for p, t in place.where.items()},
        place.events,
        context.settings.ingestion.clock() if timed else None,
    )
    columns = {n: s if isinstance(s, str) else tuple(s) for n, s in place.columns.items()}
    return TableInput((path,) if path else (), place.format, columns, place.delimiter, shape)


def _formatted(path: str | None, night: str) -> str | None:
    return night_path(path, night) if path else None
