"""Nights that are ingested in one pass, and what has to hold for each to be taken from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pipelines.contract.context import NightContext
from pipelines.contract.manifest import Manifest
from pipelines.contract.raw_files import raw_files
from pipelines.failures.errors import DataError
from pipelines.nights.arrivals import (
    ingest_job,
    near_nights,
    passed_tables,
    previous_night,
    raw_inputs,
    read_tables,
)
from pipelines.nights.lake import TABLES, ingested
from pipelines.stages.ingest import Ingest


@dataclass(frozen=True)
class IngestedAhead:
    """Nights that were ingested in one pass, before their turn.

    Attributes:
        folder: has a folder of each.
        counts: night to what was counted of it.
        made_from: night to what it was made from.
    """

    folder: Path
    counts: Mapping[str, dict[str, Any]]
    made_from: Mapping[str, MadeFrom]

    def take(
        self, context: NightContext, earlier: Mapping[str, Manifest], out: Path
    ) -> dict[str, Any] | None:
        """See ``pipelines.stages.ingest.Ahead``."""
        night = context.night
        if night not in self.counts:
            return None
        nights = {n: MadeFrom.TOGETHER for n in self.counts if n < night}
        known = {n: m.output_fingerprint() for n, m in earlier.items()} | nights
        passed = {n: (known[n], passed_tables(context, n)) for n in earlier}
        if self.made_from[night] != MadeFrom.of(context, passed, [*nights, night]):
            return None
        for made in (self.folder / night).iterdir():
            made.rename(out / made.name)
        return self.counts[night]


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
    from spark_jobs.contract.errors import InputError
    from spark_jobs.ingestion.ingest_job import Previous

    first, last = contexts[0], contexts[-1]
    outside = ingested(first)
    jobs, made_from = [], {}
    for context in contexts:
        before = [c.night for c in contexts if c.night < context.night]
        near = near_nights(context, [*outside, *before])
        passed = {
            n: (MadeFrom.TOGETHER, TABLES)
            if n in before
            else (outside[n].output_fingerprint(), passed_tables(context, n))
            for n in near
        }
        made_from[context.night] = MadeFrom.of(context, passed, [*before, context.night])
        previous = tuple(
            Previous(n, str(folder / n), read_tables(context))
            if n in before
            else previous_night(context, n, outside[n])
            for n in passed
        )
        earlier = {n: outside[n] for n in near_nights(first, outside)}
        jobs.append(
            ingest_job(context, contexts, earlier, previous, folder / context.night, bool(near))
        )
    spark = first.spark([c.night for c in contexts])
    first.log("ingest").info("%d nights in one pass, to %s", len(jobs), last.night)
    try:
        counts = ingest.run_together(spark, jobs)
    except InputError as error:
        raise DataError(f"nights {first.night} to {last.night}: {error}") from error
    return Ingest(IngestedAhead(folder, counts, made_from))
