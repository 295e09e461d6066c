"""Publish: the champion's recommendations for every user of the night, with their propensities."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mrlm.bandit_log import Catalog
from mrlm.report.visible import visible
from pipelines.contract.context import NightContext
from pipelines.contract.deployment import require_champion
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product
from pipelines.contract.workspace import write_atomically
from pipelines.failures.errors import MissingInputError
from pipelines.nights.arrivals import INGEST
from pipelines.nights.champion import on_trial, over_items_of, served_as, with_trial
from pipelines.nights.lake import (
    built_logs,
    history_command,
    ingested,
    log_fingerprints,
    log_parts,
    newest_embedded,
)

if TYPE_CHECKING:
    from mrlm.policies.quotas.quotas import Quotas
    from mrlm.promotion.serving.bundle import PolicyBundle

_LISTS = "recommendations.parquet"
_LONGEST_WARNING = 1000
# Folder of the lists with the platform's own user ids.
PRIVATE_LISTS = "private"


@dataclass(frozen=True)
class ListSources:
    """Nights that tonight's lists are made from.

    Attributes:
        state_night: whose bandit log tells the states of users.
        catalog_night: whose embedded items can be shown; None where no night has any.
        trial: version that chooses its share beside the champion; None: none does.
    """

    state_night: str
    catalog_night: str | None
    trial: int | None = None


class Publish:
    """Draws a list for every user of the newest night that passed, over the newest items.

    The candidate set of a user is the last one that the log holds for them, without what they were
    shown: retrieval is the platform's. A night that was stopped publishes too, and says how old
    the states and the champion are.

    Of a large night the users come some after the others (``lake.log_parts``), by user within each
    part; what a user gets depends on nobody else, unless there are quotas, which tie all lists.
    """

    name = "publish"
    place: Literal["run"] = "run"
    sections = ("publishing", "registry", "seed", "split", "state", "objectives")
    form = 2

    def plan(self, context: NightContext) -> ListSources:
        """The night whose bandit log is read, and the one whose catalogue is."""
        return ListSources(_state_night(context), newest_embedded(context), on_trial(context))

    def inputs(self, context: NightContext, plan: ListSources) -> dict[str, str]:
        """The champion, the newest bandit log, the newest catalogue."""
        version = require_champion(context.registry, context.night)
        found = {**log_fingerprints(context, [plan.state_night]), "champion": str(version)}
        if plan.catalog_night is not None:
            embedded = context.lake("embed", plan.catalog_night).require()
            found[f"embed/{plan.catalog_night}"] = embedded.output_fingerprint()
        if plan.trial is not None:
            found["trial"] = f"{plan.trial} at {context.settings.gate.trial_share}"
        return found

    def run(self, context: NightContext, plan: ListSources, out: Path) -> Product:
        """Write one row a user and position."""
        from mrlm.promotion.registry.champion import champion
        from mrlm.promotion.serving.list_quotas import list_quotas, too_few_shows

        serving = champion(context.registry)
        if serving is None:
            raise MissingInputError("there is no champion to publish: run 'mrlm bootstrap' first")
        bundle = over_items_of(context, serving.bundle, plan.catalog_night)
        served, trial = _served(context, bundle, plan.trial)
        publishing = context.settings.publishing
        of_providers = publishing.least_shown_providers
        quotas = list_quotas(
            served.catalog, publishing.capacity, publishing.least_shown, of_providers
        )
        policy_id = served_as(context, serving.version, trial)
        written = _write_lists(context, plan.state_night, served, policy_id, quotas, out / _LISTS)
        private: dict[str, int] = {}
        short: dict[str, Any] = {}
        if publishing.capacity:
            short = {"slots_without_room": written.wanted - written.rows}
        if quotas is not None and quotas.asks_for_shows:
            shown = pq.read_table(out / _LISTS, columns=["item_id"])["item_id"].combine_chunks()
            few = too_few_shows(served.catalog, quotas, shown, of_providers)
            short["too_few_shows"] = few
            _warn(context, few)
        if publishing.user_ids:
            lists = pq.read_table(out / _LISTS)
            private = {"users_without_id": write_private(context, plan.state_night, lists, out)}
        about = {
            "night": context.night,
            "champion": serving.version,
            **({} if trial is None else {"trial": trial}),
            "champion_night": serving.bundle.night,
            "champion_age_nights": _nights(serving.bundle.night, context.night),
            "state_night": plan.state_night,
            "state_age_nights": _nights(plan.state_night, context.night),
            "catalog_night": None if bundle is serving.bundle else plan.catalog_night,
            "candidates_left_out": written.candidates_left_out,
            "users": written.users,
            "rows": written.rows,
            **short,
            **private,
        }
        (out / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True))
        told = {k: len(v) if k == "too_few_shows" else v for k, v in about.items()}
        context.log(self.name).info("%s", told)
        return Product(
            outputs={"recommendations": _LISTS, "about": "about.json"},
            counts=about,
            expiring=(PRIVATE_LISTS,),
        )


@dataclass(frozen=True)
class _Written:
    """Counts of the lists of a night.

    Attributes:
        users: with a list.
        rows: slots of all lists.
        wanted: slots that candidates and ``publishing.k`` allow.
        candidates_left_out: candidates that the catalogue no longer has.
    """

    users: int = 0
    rows: int = 0
    wanted: int = 0
    candidates_left_out: int = 0


def _write_lists(
    context: NightContext,
    night: str,
    served: PolicyBundle,
    policy_id: str,
    quotas: Quotas | None,
    path: Path,
) -> _Written:
    """Write a list for every user of a night's log."""
    from mrlm.promotion.serving.published import PUBLISHED_SCHEMA, published_lists
    from mrlm.promotion.serving.states import last_states, read_states, states_table

    publishing, written = context.settings.publishing, _Written()
    with pq.ParquetWriter(path, PUBLISHED_SCHEMA) as file:
        for log in log_parts(context, night, _catalog(context), at_once=quotas is not None):
            last = last_states(log)
            requests = read_states(
                states_table(last), served.catalog, ts=context.night, unknown_candidates="drop"
            )
            rows = 0
            for lists in published_lists(
                served.policy,
                requests,
                night=context.night,
                policy_id=policy_id,
                k=publishing.k,
                seed=context.settings.seed,
                quotas=quotas,
            ):
                file.write_table(lists)
                rows += len(lists)
            wanted = np.minimum(requests.candidates.lengths, publishing.k).sum()
            written = _Written(
                users=written.users + len(requests),
                rows=written.rows + rows,
                wanted=written.wanted + int(wanted),
                candidates_left_out=written.candidates_left_out
                + int(last.offsets[-1] - requests.offsets[-1]),
            )
    return written


def _served(
    context: NightContext, bundle: PolicyBundle, trial: int | None
) -> tuple[PolicyBundle, int | None]:
    """``with_trial``; a version that cannot be loaded takes no list from anybody."""
    from mrlm.promotion.registry.integrity import DamagedVersionError

    try:
        return with_trial(context, bundle, trial)
    except DamagedVersionError as error:
        context.log("publish").error("version %s is not on trial: %s", trial, error)
        return bundle, None


def _warn(context: NightContext, few: dict[str, dict[str, float]]) -> None:
    from mrlm.promotion.serving.list_quotas import few_shows_told

    if few:
        context.log("publish").warning(
            "%s; candidates and capacities allow no more ('too_few_shows' of published/%s.json "
            "has all of them)",
            *(visible(few_shows_told(few), _LONGEST_WARNING), context.night),
        )


def _nights(before: str, after: str) -> int:
    return (date.fromisoformat(after) - date.fromisoformat(before)).days


def write_private(context: NightContext, plan: str, lists: pa.Table, out: Path) -> int:
    """Write the lists with the platform's user ids; returns how many users have none."""
    from mrlm.privacy.user_ids import with_user_ids

    nights = [n for n in context.workspace.nights() if plan <= n <= context.night]
    folders = [context.lake(INGEST, n).folder / "user_ids" / "rows" for n in reversed(nights)]
    maps = [pq.read_table(folder, partitioning=None) for folder in folders if folder.is_dir()]
    named = with_user_ids(lists, maps)
    folder = out / PRIVATE_LISTS
    folder.mkdir(mode=0o700)
    path = folder / _LISTS
    path.touch(mode=0o600)
    pq.write_table(named, path)
    unnamed = named.filter(pc.is_null(named["user_id"]))
    return len(pc.unique(unnamed["user"]))


def point_at(context: NightContext, manifest: Manifest) -> None:
    """Say in ``published/<night>.json`` which lists are the night's, how old, over which items."""
    folder = context.run(STAGE.name).folder
    # Relative to the workspace, which may be moved.
    places = {"path": folder / _LISTS}
    catalog_night = manifest.counts["catalog_night"]
    if catalog_night is not None:
        places["catalog"] = context.lake("embed", catalog_night).folder
    if (folder / PRIVATE_LISTS / _LISTS).exists():
        places["private_path"] = folder / PRIVATE_LISTS / _LISTS
    root = context.workspace.root
    about = manifest.counts | {n: p.relative_to(root).as_posix() for n, p in places.items()}
    write_atomically(
        context.workspace.published / f"{context.night}.json", json.dumps(about, indent=1)
    )


def _state_night(context: NightContext) -> str:
    """Newest night, tonight included, whose bandit log was built and passed."""
    built = list(built_logs(context))
    if not built:
        raise MissingInputError(
            f"night {context.night}: no night has a bandit log yet; run "
            f"'{history_command(context, context.night)}' first, or from the first night you have"
        )
    return built[-1]


def _catalog(context: NightContext) -> Catalog:
    """The newest catalogue; tonight's may be absent when ingestion failed."""
    nights = list(ingested(context))
    if context.lake("ingest").manifest() is not None:
        nights.append(context.night)
    return Catalog.read(context.lake("ingest", nights[-1]).path("catalog"))


STAGE = Publish()
