"""Which version serves: loaded from the registry, and looked for anew while the server runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.reader import read_bandit_log
from pipelines.contract.context import NightContext
from pipelines.contract.log import logger
from pipelines.failures.errors import DataError, MissingInputError
from pipelines.nights.champion import over_items_of
from pipelines.nights.lake import built_logs, log_paths, newest_embedded, read_catalog

if TYPE_CHECKING:
    from mrlm.promotion.serving.live import LiveVersion


@dataclass(frozen=True)
class LiveSources:
    """What a served version is made of.

    Attributes:
        version: of the registry.
        catalog_night: whose items are served; None where no night has embedded any.
        state_nights: whose logs tell the states of users, with the night that built each.
    """

    version: int
    catalog_night: str | None
    state_nights: tuple[tuple[str, str], ...]


def sources(context: NightContext) -> LiveSources:
    """What would be served now.

    Raises:
        MissingInputError: there is no champion.
    """
    from mrlm.promotion.record.ledger import champion_stack

    stack = champion_stack(context.registry.ledger.entries())
    if not stack:
        raise MissingInputError("there is no champion to serve: run 'mrlm bootstrap' first")
    built = list(built_logs(context).items())[-context.settings.serving.state_nights :]
    nights = tuple((night, builder) for night, (builder, _) in built)
    return LiveSources(stack[-1], newest_embedded(context), nights)


def load(context: NightContext, found: LiveSources) -> LiveVersion:
    """The version, over the newest items, with the last state of each user.

    Raises:
        DataError: another version became champion meanwhile; look again.
        DamagedVersionError: a file of the version is not as it was registered.
        DamagedError: a file that a stage wrote is not as it was written.
    """
    from mrlm.promotion.registry.champion import champion
    from mrlm.promotion.serving.live import LiveVersion
    from mrlm.promotion.serving.states import STATES_SCHEMA

    serving = champion(context.registry)
    if serving is None or serving.version != found.version:
        raise DataError(f"version {found.version} is no longer the champion")
    bundle = over_items_of(context, serving.bundle, found.catalog_night)
    tables = [STATES_SCHEMA.empty_table()]
    if found.catalog_night is not None:
        catalog = read_catalog(context, found.catalog_night)
        tables += [_states(context, night, catalog) for night, _ in reversed(found.state_nights)]
    states = pa.concat_tables(tables)
    first = pc.index_in(pc.unique(states["user"]), value_set=states["user"].combine_chunks())
    model = context.settings.registry.model
    live = LiveVersion(f"{model}@{serving.version}", bundle, states.take(first)).quickest()
    live.prepare(datetime.now(UTC))
    return live


def _states(context: NightContext, night: str, catalog: Catalog) -> pa.Table:
    from mrlm.promotion.serving.states import last_states, states_table

    log = read_bandit_log(log_paths(context, [night]), catalog, context.objectives)
    return states_table(last_states(log))


class Current:
    """The version that answers now, and a thread that looks for the next one.

    A version that cannot be loaded changes nothing: the last good one serves on, and ``trouble``
    says why.

    Args:
        context: makes the context of the night that a time lies in.
        seconds: between two looks.

    Attributes:
        live: what answers; replaced as a whole.
        found: what it is made of.
        since: when it was loaded.
        reloads: how often another one took over.
        trouble: why the newest could not be loaded; empty when it serves.
    """

    def __init__(self, context: Callable[[datetime], NightContext], seconds: float) -> None:
        self._context, self._seconds = context, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champion", daemon=True)
        now = datetime.now(UTC)
        self.found = sources(context(now))
        self.live = load(context(now), self.found)
        self.since = now
        self.reloads = 0
        self.trouble = ""

    def start(self) -> None:
        """Look for another version from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> None:
        """Take the newest version, where it is another one and can be loaded."""
        now = datetime.now(UTC)
        try:
            context = self._context(now)
            found = sources(context)
            if found != self.found:
                live = load(context, found)
                self.live, self.found, self.since = live, found, now
                self.reloads += 1
                logger.info("serves %s over the items of %s", live.policy_id, found.catalog_night)
            self.trouble = ""
        # Whatever is wrong with what comes, those who ask now are answered by what is there.
        except Exception as error:
            if str(error) != self.trouble:
                logger.error("%s goes on serving: %s", self.live.policy_id, error)
            self.trouble = str(error)

    def _watch(self) -> None:
        while not self._ended.wait(self._seconds):
            self.look()
