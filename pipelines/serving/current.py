"""Which version serves: loaded from the registry, and looked for anew while the server runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mrlm.bandit_log import Catalog
from pipelines.contract.context import NightContext
from pipelines.contract.fingerprints import of_json
from pipelines.contract.log import logger
from pipelines.failures.errors import MissingInputError
from pipelines.nights.champion import (
    on_trial,
    over_items_of,
    served_as,
    with_trial,
    without_trial,
)
from pipelines.nights.lake import built_logs, log_parts, newest_embedded, read_catalog

if TYPE_CHECKING:
    from mrlm.promotion.serving.live import LiveVersion


# Of what answers where no version can.
NO_VERSION = 0


@dataclass(frozen=True)
class LiveSources:
    """What a served version is made of.

    Attributes:
        version: of the registry; ``NO_VERSION``: popularity.
        catalog_night: whose items are served; None where no night has embedded any.
        state_nights: whose logs tell the states of users, with the night that built each.
        content: fingerprint of these items and logs as they lie there: a night that is run again,
            or that a person left, is loaded again.
        trial: version that chooses its share beside this one; None: none does.
    """

    version: int
    catalog_night: str | None
    state_nights: tuple[tuple[str, str], ...]
    content: str = ""
    trial: int | None = None


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
    catalog_night = newest_embedded(context)
    read = [("build_log", builder, [output]) for _, (builder, output) in built]
    if catalog_night is not None:
        read.append(("embed", catalog_night, []))
    content = _content(context, read)
    return LiveSources(stack[-1], catalog_night, nights, content, on_trial(context))


def _content(context: NightContext, read: list[tuple[str, str, list[str]]]) -> str:
    """One fingerprint of outputs, all of a stage where none is named, as they are now."""
    found = {}
    for stage, night, outputs in read:
        manifest = context.lake(stage, night).require()
        for name in outputs or manifest.outputs:
            found[f"{stage}/{night}/{name}"] = manifest.fingerprint_of_now(name)
    return of_json(found)


def load(context: NightContext, found: LiveSources) -> LiveVersion:
    """The version, over the newest items, with what the newest nights know of users.

    Raises:
        DamagedVersionError: a file of the version is not as it was registered.
        DamagedError: a file that a stage wrote is not as it was written.
    """
    from mrlm.promotion.registry.champion import champion_of_version
    from mrlm.promotion.serving.live import LiveVersion
    from mrlm.promotion.serving.retrieval import Retrieval

    serving = champion_of_version(context.registry, found.version)
    bundle = over_items_of(context, serving.bundle, found.catalog_night)
    bundle, trial = with_trial(context, bundle, found.trial)
    known = known_users(context, found, bundle.catalog)
    settings, learned_on = context.settings.serving, serving.bundle.catalog
    live = LiveVersion(
        policy_id=served_as(context, serving.version, trial),
        bundle=bundle,
        states=known.states,
        popular=known.most_popular(settings.popular),
        retrieval=Retrieval.of(
            bundle.catalog, learned_on, settings.retrieved, settings.fresh_share
        ),
        history_objective=context.settings.state.history_objective,
        history_length=context.settings.state.history_length,
    ).quickest()
    live.prepare(datetime.now(UTC))
    return live


def load_any(context: NightContext, newest: LiveSources) -> tuple[LiveVersion, LiveSources, str]:
    """The newest, else without its trial, else the last champion that loads, else popularity.

    Returns:
        What answers, what it is made of (version 0: popularity), and what is wrong with the newest.

    Raises:
        Exception: that of the newest, where no other can answer either.
    """
    from mrlm.promotion.record.ledger import champion_stack

    try:
        return load(context, newest), newest, ""
    except Exception as error:
        wrong = error
    logger.error("version %s cannot be loaded: %s", newest.version, wrong)
    stack = champion_stack(context.registry.ledger.entries())
    before = [v for v in dict.fromkeys(reversed(stack)) if v != newest.version]
    alone = [] if newest.trial is None else [newest.version]
    for version in (*alone, *before, NO_VERSION):
        found = replace(newest, version=version, trial=None)
        try:
            live = (
                load_popularity(context, found) if version == NO_VERSION else load(context, found)
            )
        except Exception as error:
            logger.error("nor can %s: %s", version or "popularity", error)
            continue
        return live, found, str(wrong)
    raise wrong


def load_popularity(context: NightContext, found: LiveSources) -> LiveVersion:
    """The most popular of the candidates, with the floor of tuning: it needs no version at all.

    Raises:
        MissingInputError: there is no night whose items and logs it could be made of.
    """
    from mrlm.learners.baselines.item_scores import ItemScores
    from mrlm.policies.greedy import Greedy
    from mrlm.promotion.serving.bundle import PolicyBundle
    from mrlm.promotion.serving.live import LiveVersion

    if found.catalog_night is None or not found.state_nights:
        raise MissingInputError("no night has items and a log: popularity is not known either")
    catalog = read_catalog(context, found.catalog_night)
    known = known_users(context, found, catalog)
    name, settings = "popularity", context.settings
    scorer = ItemScores(name, catalog.item_id, known.collected, elsewhere=0.0)
    policy = Greedy(scorer, settings.tuning.floor, name)
    bundle = PolicyBundle(policy, catalog, name, found.catalog_night, "", "", context.objectives)
    popular = known.most_popular(settings.serving.popular)
    live = LiveVersion(f"{name}@{found.catalog_night}", bundle, known.states, popular)
    live.prepare(datetime.now(UTC))
    return live


@dataclass(frozen=True)
class KnownUsers:
    """What the newest nights know.

    Attributes:
        states: each user's last state, a table of ``states.STATES_SCHEMA``.
        collected: float64, shape (items,), the north star that each item brought.
    """

    states: pa.Table
    collected: NDArray[np.float64]

    def most_popular(self, many: int) -> NDArray[np.int32]:
        """Codes of the items that brought most, best first, at most ``many`` and only some."""
        best = np.argsort(-self.collected, kind="stable")[:many]
        return best[self.collected[best] > 0].astype(np.int32)


def known_users(context: NightContext, found: LiveSources, served: Catalog) -> KnownUsers:
    """Last states and popularity by the nights that are named, the newest first."""
    from mrlm.learners.baselines.popularity import fit_popularity
    from mrlm.promotion.serving.states import STATES_SCHEMA, last_states, states_table

    tables = [STATES_SCHEMA.empty_table()]
    collected = np.zeros(len(served))
    if found.catalog_night is not None:
        catalog = read_catalog(context, found.catalog_night)
        for night, _ in reversed(found.state_nights):
            for log in log_parts(context, night, catalog):
                tables.append(states_table(last_states(log)))
                brought = fit_popularity(log, context.north_star.name)
                code = served.codes(brought.item_id)
                collected[code[code >= 0]] += brought.value[code >= 0]
    states = pa.concat_tables(tables)
    first = pc.index_in(pc.unique(states["user"]), value_set=states["user"].combine_chunks())
    return KnownUsers(states.take(first), collected)


@dataclass(frozen=True)
class Answering:
    """What answers at one moment; never changed, but another takes its place.

    Attributes:
        live: what answers.
        found: what it is made of.
        since: when it was loaded.
        trouble: why the newest could not be loaded; empty when it serves.
    """

    live: LiveVersion
    found: LiveSources
    since: datetime
    trouble: str = ""

    @property
    def fallback(self) -> str | None:
        """What answers in place of a champion that cannot be loaded; ``trouble`` says why."""
        if not self.trouble:
            return None
        return "popularity" if self.found.version == NO_VERSION else "last good version"


class Current:
    """The version that answers now, and a thread that looks for the next one.

    A version that cannot be loaded changes nothing but ``trouble``: the last good one serves on.
    Where the first cannot be loaded, see ``load_any``.

    Args:
        context: makes the context of the night that a time lies in.
        seconds: between two looks.

    Attributes:
        answering: what answers; replaced as a whole.
        reloads: how often another one took over.
    """

    def __init__(self, context: Callable[[datetime], NightContext], seconds: float) -> None:
        self._context, self._seconds = context, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champion", daemon=True)
        now = datetime.now(UTC)
        live, found, trouble = load_any(context(now), sources(context(now)))
        self.answering = Answering(live, found, now, trouble)
        self.reloads = 0

    def start(self) -> None:
        """Look for another version from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> None:
        """Take the newest version, where it is another one and can be loaded.

        A challenger whose trial is over serves nobody, whether or not the newest can be loaded.
        """
        now = datetime.now(UTC)
        try:
            context = self._context(now)
            found = sources(context)
        except Exception as error:
            self._in_trouble(error)
            return
        try:
            if found != self.answering.found:
                self._take(load(context, found), found, now)
            elif self.answering.trouble:
                self.answering = replace(self.answering, trouble="")
        # Whatever is wrong with what comes, those who ask now are answered by what is there.
        except Exception as error:
            self._in_trouble(error)
            self._without_trial(context, found, now)

    def _take(
        self, live: LiveVersion, found: LiveSources, now: datetime, trouble: str = ""
    ) -> None:
        self.answering = Answering(live, found, now, trouble)
        self.reloads += 1
        logger.info("serves %s over the items of %s", live.policy_id, found.catalog_night)

    def _in_trouble(self, error: Exception) -> None:
        if str(error) != self.answering.trouble:
            logger.error("%s goes on serving: %s", self.answering.live.policy_id, error)
        self.answering = replace(self.answering, trouble=str(error))

    def _without_trial(self, context: NightContext, newest: LiveSources, now: datetime) -> None:
        """Where the newest cannot be loaded: its champion alone, else whoever answers, alone."""
        answering, alone = self.answering, replace(newest, trial=None)
        if newest.trial is not None and alone != answering.found:
            try:
                self._take(load(context, alone), alone, now, answering.trouble)
                return
            except Exception as error:
                logger.error("nor can version %s alone: %s", newest.version, error)
        if answering.found.trial not in (None, newest.trial):
            version = answering.found.version
            live = replace(
                answering.live,
                policy_id=served_as(context, version, None),
                bundle=without_trial(answering.live.bundle),
            )
            self._take(live, replace(answering.found, trial=None), now, answering.trouble)

    def _watch(self) -> None:
        while not self._ended.wait(self._seconds):
            self.look()
