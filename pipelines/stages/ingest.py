"""Ingest: raw rows become clean tables or quarantine; every row is counted once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json, of_raw
from pipelines.contract.manifest import Manifest
from pipelines.contract.raw_files import raw_files
from pipelines.contract.stage import Product
from pipelines.failures.errors import DamagedError, DataError
from pipelines.nights.deliveries import sent_events
from pipelines.nights.forgotten_people import forgotten_people
from pipelines.nights.lake import TABLES, ingested, shift, table_passed
from pipelines.settings.night_path import night_path
from spark_jobs.log_contract import HISTORY

if TYPE_CHECKING:
    from spark_jobs.forgotten_rows import ForgottenRows
    from spark_jobs.ingest import IngestJob, Previous
    from spark_jobs.table_files import TableInput


@dataclass(frozen=True)
class Arriving:
    """What a night's ingestion knows beside its rows.

    Attributes:
        earlier: manifests of nights that tonight's rows may repeat or belong to.
        sent: events that the logger counted, by name; None: it does not count.
    """

    earlier: dict[str, Manifest]
    sent: dict[str, int] | None


@dataclass(frozen=True)
class Ahead:
    """Nights that were ingested in one pass, before their turn.

    Attributes:
        folder: has a folder of each.
        counts: night to what was counted of it.
        made_from: night to what it was made from.
    """

    folder: Path
    counts: Mapping[str, dict[str, Any]]
    made_from: Mapping[str, MadeFrom]

    def take(self, context: NightContext, earlier: dict[str, Manifest], out: Path) -> bool:
        """Move a night into ``out``, if what it was made from is what there is at its turn."""
        night = context.night
        if night not in self.counts:
            return False
        nights = {n: MadeFrom.TOGETHER for n in self.counts if n < night}
        known = {n: m.output_fingerprint() for n, m in earlier.items()} | nights
        passed = {n: (known[n], _passed(context, n)) for n in earlier}
        if self.made_from[night] != MadeFrom.of(context, passed, [*nights, night]):
            return False
        for made in (self.folder / night).iterdir():
            made.rename(out / made.name)
        return True


@dataclass(frozen=True)
class MadeFrom:
    """What a night's ingestion was made from, as far as it may change before the night's turn.

    Attributes:
        earlier: night to the content of its ingestion, and its tables that passed.
        raw: path, size and time of the raw files of the night and of those before it that were
            ingested with it.
    """

    earlier: Mapping[str, tuple[str, tuple[str, ...]]]
    raw: tuple[tuple[str, int, int], ...]

    TOGETHER: ClassVar[str] = "together"

    @classmethod
    def of(
        cls,
        context: NightContext,
        earlier: Mapping[str, tuple[str, tuple[str, ...]]],
        nights: Iterable[str],
    ) -> MadeFrom:
        """What there is now; ``nights`` are those whose raw files count."""
        found = []
        for i, night in enumerate(nights):
            of_night = replace(context, night=night)
            for place in raw_inputs(of_night, later=i > 0 or bool(ingested(of_night))).values():
                with suppress(FileNotFoundError):
                    found += [(f.path, f.size, f.mtime_ns) for f in raw_files(place)[1]]
        return cls(dict(earlier), tuple(found))


class Ingest:
    """Spark reads tonight's arrivals.

    Args:
        ahead: nights that were ingested before their turn.
    """

    name = "ingest"
    place: Literal["lake"] = "lake"
    sections = ("inputs", "ingestion", "objectives")
    form = 2

    def __init__(self, ahead: Ahead | None = None) -> None:
        self._ahead = ahead

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
        from spark_jobs.pseudonyms import LEAST_KEY

        variable = context.settings.ingestion.user_key_variable
        if len(os.environ.get(variable, "").encode()) < LEAST_KEY:
            context.log(self.name).warning(
                "the key in %s has fewer than %d bytes and can be guessed; it is taken because "
                "earlier nights were made with it; a workspace of its own can have a longer one",
                variable,
                LEAST_KEY,
            )
        if self._ahead is not None and self._ahead.take(context, plan.earlier, out):
            counts = self._ahead.counts[context.night]
        else:
            counts = _ingested(context, plan, out)
        for table in _tables(context):
            context.log(self.name).info("%s: %s", table, counts[table])
        # Not the quarantine: it is private, expires, and names files; nothing is built from it.
        made = (*TABLES, HISTORY, "catalog", "late", "left_out", "unread")
        outputs = {name: name for name in made if (out / name).exists()}
        return Product(
            outputs=outputs,
            counts=counts if plan.sent is None else counts | {"sent": plan.sent},
            expiring=("quarantine",),
        )


def ingest_ahead(contexts: Sequence[NightContext], folder: Path) -> Ingest:
    """The stage, with these nights ingested in one pass, into ``folder``.

    All tables of these nights are taken as passed. At its turn a night is taken from here only if
    that was right, and is ingested by itself else.

    Args:
        contexts: two or more, oldest night first, with no ingested night between them.
        folder: empty.

    Raises:
        DataError: the files of one of them cannot be read, or lack what they need.
    """
    from spark_jobs import ingest
    from spark_jobs.errors import InputError

    first, last = contexts[0], contexts[-1]
    outside = ingested(first)
    jobs, made_from = [], {}
    for context in contexts:
        before = [c.night for c in contexts if c.night < context.night]
        near = _near(context, [*outside, *before])
        passed = {
            n: (MadeFrom.TOGETHER, TABLES)
            if n in before
            else (outside[n].output_fingerprint(), _passed(context, n))
            for n in near
        }
        made_from[context.night] = MadeFrom.of(context, passed, [*before, context.night])
        previous = tuple(
            ingest.Previous(n, str(folder / n), _tables(context))
            if n in before
            else ingest.Previous(n, str(_checked(context, n)), _trusted(context, n, outside[n]))
            for n in passed
        )
        earlier = {n: outside[n] for n in _near(first, outside)}
        jobs.append(_job(context, contexts, earlier, previous, folder / context.night, bool(near)))
    spark = first.spark([c.night for c in contexts])
    first.log("ingest").info("%d nights in one pass, to %s", len(jobs), last.night)
    try:
        counts = ingest.run_together(spark, jobs)
    except InputError as error:
        raise DataError(f"nights {first.night} to {last.night}: {error}") from error
    return Ingest(Ahead(folder, counts, made_from))


def _ingested(context: NightContext, plan: Arriving, out: Path) -> dict[str, Any]:
    """Ingest tonight into ``out``; returns its counts."""
    from spark_jobs import ingest
    from spark_jobs.errors import InputError

    previous = tuple(
        ingest.Previous(n, str(_checked(context, n)), _trusted(context, n, manifest))
        for n, manifest in plan.earlier.items()
    )
    job = _job(context, [context], plan.earlier, previous, out, bool(plan.earlier))
    try:
        return ingest.run(context.spark(), job)
    except InputError as error:
        raise DataError(f"night {context.night}: {error}") from error


def _job(
    context: NightContext,
    together: Sequence[NightContext],
    earlier: dict[str, Manifest],
    previous: tuple[Previous, ...],
    out: Path,
    later: bool,
) -> IngestJob:
    """What Spark is to do.

    Args:
        context: of the night.
        together: of all nights that are ingested with it.
        earlier: manifests that tell the known keys and item fields.
        previous: nights that rows may repeat or belong to.
        out: folder to write.
        later: whether a night comes before it.
    """
    from spark_jobs.ingest import IngestJob

    settings = context.settings
    return IngestJob(
        night=context.night,
        tables={t: table_input(context, t, later) for t in _tables(context)},
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
        scrub_contacts=settings.ingestion.scrub_contacts,
        propensity=settings.ingestion.propensity,
        candidates=settings.inputs.candidates,
        feedback_names=settings.inputs.feedback_names,
    )


def _tables(context: NightContext) -> tuple[str, ...]:
    """The tables that are read: those of every log, and the history where the settings name one."""
    return TABLES if context.settings.inputs.history is None else (*TABLES, HISTORY)


def raw_inputs(context: NightContext, later: bool | None = None) -> dict[str, str]:
    """Names of the inputs that are raw logs, and where tonight's lie.

    ``later`` says whether a night comes before it; None: by what was ingested.
    """
    later = bool(ingested(context)) if later is None else later
    places = {f"raw/{table}": _path(context, table, later) for table in _tables(context)}
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


def key_ids(made: Iterable[Manifest]) -> tuple[str, ...]:
    """Ids of the pseudonymisation keys that ingestions were made with."""
    return tuple(sorted({m.counts["key_id"] for m in made}))


def _known_keys(together: Sequence[NightContext], earlier: dict[str, Manifest]) -> tuple[str, ...]:
    """Ids of the keys of the nights before, and of these where they were ingested already."""
    own = []
    for context in together:
        with suppress(DamagedError):
            own.append(context.lake(STAGE.name).manifest())
    return key_ids([*earlier.values(), *(manifest for manifest in own if manifest)])


def event_windows(context: NightContext) -> dict[str, int]:
    """Nights after its own in which each event of a slot may still arrive."""
    windows: dict[str, int] = {}
    for objective in context.objectives:
        if objective.source == "feedback":
            known = windows.get(objective.event, 0)
            windows[objective.event] = max(known, objective.window_nights)
    return windows


def _earlier(context: NightContext) -> dict[str, Manifest]:
    """Earlier nights that tonight's rows may repeat or belong to."""
    found = ingested(context)
    return {n: found[n] for n in _near(context, found)}


def _near(context: NightContext, nights: Collection[str]) -> list[str]:
    """Those of the ``nights`` before tonight whose rows may come again, or are still waited for.

    The newest is always one of them: it carries the catalogue.
    """
    reach = context.settings.ingestion.late_nights + context.settings.final_after + 1
    since = min(shift(context.night, -reach), max(nights, default=context.night))
    return sorted(n for n in nights if n >= since)


def _passed(context: NightContext, night: str) -> tuple[str, ...]:
    """Tables of a night that validation did not stop; a stopped one counts as never delivered."""
    return tuple(t for t in TABLES if table_passed(context, night, t))


def _trusted(context: NightContext, night: str, manifest: Manifest) -> tuple[str, ...]:
    """``_passed``, and the history where the night has one: validation does not judge it."""
    told = (HISTORY,) if HISTORY in manifest.outputs else ()
    return (*_passed(context, night), *told)


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
    if HISTORY in manifest.outputs:
        ingest.path(HISTORY)
    return ingest.folder


def _forgotten(together: Sequence[NightContext]) -> ForgottenRows:
    """Whose rows are dropped. It is no input: that somebody is forgotten makes no night anew."""
    from spark_jobs.forgotten_rows import ForgottenRows

    context, own = together[0], {c.night for c in together}
    people = forgotten_people(context)
    if not people.hashes:
        return ForgottenRows()
    made = [context.lake(STAGE.name, n) for n in context.workspace.nights() if n not in own]
    requests = [str(i.path("forgotten")) for i in made if (i.folder / "forgotten").is_dir()]
    return ForgottenRows(people.salt, people.hashes, tuple(requests))


def _known_item_fields(earlier: dict[str, Manifest]) -> tuple[str, ...]:
    """Fields of the settings that items had until the night before; each night counts them on."""
    newest = earlier.get(max(earlier, default=""))
    return tuple(newest.counts.get("item_fields", ())) if newest else ()


def _path(context: NightContext, table: str, later: bool) -> str | None:
    """Tonight's path of a table; None for items on a ``later`` night that brings no new ones."""
    path = night_path(context.settings.inputs.table(table).path, context.night)
    local = "://" not in path
    if table == "items" and local and later and not Path(path).exists():
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


def table_input(context: NightContext, table: str, later: bool) -> TableInput:
    """Where tonight's rows of a table lie and how they are read.

    Of items there may be none on a night that is not the first, a ``later`` one.
    """
    from spark_jobs.row_shape import RowShape
    from spark_jobs.table_files import TableInput

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


STAGE = Ingest()
