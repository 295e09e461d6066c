"""Nights of a range that are ingested in one pass, before their turn comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipelines.contract.context import NightContext
from pipelines.contract.raw_files import raw_bytes
from pipelines.contract.workspace import remove
from pipelines.failures.errors import DataError
from pipelines.nights.arrivals import raw_inputs
from pipelines.nights.lake import TABLES, table_passed
from pipelines.running.ingested_ahead import ingest_ahead
from pipelines.running.run_stage import is_unchanged
from pipelines.stages.ingest import STAGE, Ingest

# Memory and scratch grow with the nights of one pass; more of them save nothing that shows.
_MOST_NIGHTS = 16
_MOST_BYTES = 2 << 30


class IngestAhead:
    """The ingest stage of each night of a range, some of them ready when they are asked for.

    Args:
        contexts: the range, oldest night first.
        folder: where nights lie until their turn; None: each is ingested at its turn.
        alone: nights that are ingested by themselves.
    """

    def __init__(
        self, contexts: Sequence[NightContext], folder: Path | None, alone: Iterable[str] = ()
    ) -> None:
        self._contexts = list(contexts)
        self._folder = folder
        self._stage: Ingest = STAGE
        self._ready: list[str] = []
        self._alone = set(alone)

    def stage(self, context: NightContext) -> Ingest:
        """The stage for a night, whose earlier ones have been validated."""
        if self._folder is None or context.night in self._alone:
            return STAGE
        before = [n for n in self._ready if n < context.night]
        # A night that was stopped counts as never delivered: those after it are read again.
        whole = all(table_passed(context, n, t) for n in before for t in TABLES)
        if context.night in self._ready and whole:
            return self._stage
        group = self._group(context)
        self._stage, self._ready = STAGE, []
        if len(group) < 2:
            return STAGE
        remove(self._folder)
        # Raw texts of quarantined rows will lie in it.
        self._folder.mkdir(mode=0o700)
        try:
            self._stage = ingest_ahead(group, self._folder)
        except DataError:
            # By itself, each night says what is wrong with it.
            self._alone |= {c.night for c in group}
            return STAGE
        self._ready = [c.night for c in group]
        return self._stage

    def _group(self, context: NightContext) -> list[NightContext]:
        """The night and those that follow it, as long as each has to be ingested."""
        found: list[NightContext] = []
        size = 0
        for other in self._contexts[self._contexts.index(context) :]:
            size += sum(map(raw_bytes, raw_inputs(other, later=True).values()))
            full = len(found) == _MOST_NIGHTS or (found and size > _MOST_BYTES)
            if full or (is_unchanged(STAGE, other) and not other.force):
                break
            found.append(other)
        return found


@contextmanager
def ingesting_ahead(
    contexts: Sequence[NightContext], *, first_waits: bool = False
) -> Iterator[IngestAhead]:
    """``IngestAhead`` of a range; what no night took is removed at the end.

    Where somebody waits for the first night, it is not held up by those after it. One command at a
    time reads ahead in a workspace; another one ingests each night at its turn.
    """
    if len(contexts) < 2:
        yield IngestAhead(contexts, None)
        return
    lake = contexts[0].workspace.lake
    lake.mkdir(parents=True, exist_ok=True)
    folder = lake / ".ahead"
    lock = FileLock(lake / ".ahead.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield IngestAhead(contexts, None)
        return
    try:
        yield IngestAhead(contexts, folder, [contexts[0].night] if first_waits else [])
    finally:
        remove(folder)
        lock.release()
