"""Data stages of nights before their turn: of a history, and of nights that wait for theirs.

Texts are embedded beside the Spark stages: these leave a core idle, and nothing of them reads the
vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from pipelines.contract.context import NightContext
from pipelines.contract.stage import Stage
from pipelines.failures.errors import NightStoppedError
from pipelines.running.night import Closing, closing_of, execute, record
from pipelines.running.run_stage import Outcome, is_unchanged, run_stage
from pipelines.stages import DATA, stage_named

Embed = Callable[[NightContext], "Future[Outcome]"]


@contextmanager
def embedding() -> Iterator[Embed]:
    """What embeds nights in the background, in the order in which they are given.

    The block ends when all are done, and raises the first error of one.
    """
    started: list[Future[Outcome]] = []
    with ThreadPoolExecutor(1) as pool:

        def embed(context: NightContext) -> Future[Outcome]:
            started.append(pool.submit(run_stage, stage_named("embed"), context))
            return started[-1]

        try:
            yield embed
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for future in started:
        future.result()


@contextmanager
def held_until_embedded(lease: AbstractContextManager[None], embed: Embed) -> Iterator[Embed]:
    """Hold a night while the block runs, and until what it gives to be embedded is.

    Let go of before, its own run could meet the embedding and end as busy.

    Args:
        lease: of the night.
        embed: see ``embedding``.

    Returns:
        What embeds the night.
    """
    held, started = ExitStack(), []

    def embed_held(context: NightContext) -> Future[Outcome]:
        started.append(embed(context))
        return started[-1]

    held.enter_context(lease)
    try:
        yield embed_held
    finally:
        if started:
            started[-1].add_done_callback(lambda _: held.close())
        else:
            held.close()


def read_history(context: NightContext, embed: Embed, ingest: Stage[Any]) -> Closing:
    """Ingest and validate a night before the first one that learns; record how it was closed.

    Their logs are built later, all at once, see ``newest_passed``.

    Args:
        context: of the night.
        embed: see ``held_until_embedded``.
        ingest: the ingest stage, see ``IngestAhead``.

    Raises:
        DataError: a stage failed on its data or settings, other than by stopping the night.
    """
    closing = Closing(context.night, context.run_key, "history", "data stages only")
    try:
        execute(ingest, context)
        embed(context)
        execute(stage_named("validate"), context)
    except NightStoppedError as error:
        context.log("history").error("%s", error)
        closing = Closing(context.night, context.run_key, "stopped", str(error))
    record(context, closing)
    return closing


def newest_passed(history: Sequence[NightContext]) -> NightContext | None:
    """The newest of these nights that validation did not stop: it builds the logs of all.

    One build of all nights: each would else be built again as its windows close.
    """
    for context in reversed(history):
        validated = context.lake("validate").manifest()
        if validated is not None and not validated.stopped:
            return context
    return None


def history_closed(history: Sequence[NightContext]) -> bool:
    """Whether a range of nights, oldest first, has been read once, as far as manifests say.

    Cheaper than ``history_unchanged``, which also asks whether they would be read otherwise now.
    """
    if not all(closing_of(c) and c.lake("embed").manifest() for c in history):
        return False
    newest = newest_passed(history)
    return newest is None or newest.lake("build_log").manifest() is not None


def history_unchanged(history: Sequence[NightContext]) -> bool:
    """Whether a range of nights, oldest first, would find nothing to read or build."""
    read = [n for n in DATA if n != "build_log"]
    if not all(is_unchanged(stage_named(name), c) for c in history for name in read):
        return False
    newest = newest_passed(history)
    return newest is None or is_unchanged(stage_named("build_log"), newest)


def read_ahead(context: NightContext, embed: Embed, ingest: Stage[Any]) -> bool:
    """Do the data stages of a night whose turn to learn comes later; close nothing.

    The night itself will find them unchanged, and tells of a stop.

    Args:
        context: of the night; every night before it has been read.
        embed: see ``held_until_embedded``.
        ingest: the ingest stage, see ``IngestAhead``.

    Returns:
        Whether the night passed validation.

    Raises:
        DataError: a stage failed on its data or settings, other than by stopping the night.
    """
    run_stage(ingest, context)
    embed(context)
    try:
        run_stage(stage_named("validate"), context)
        run_stage(stage_named("build_log"), context)
    except NightStoppedError as error:
        context.log("read_ahead").warning("%s", error)
        return False
    return True
