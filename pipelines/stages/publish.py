"""Publish: the champion's recommendations for every user of the night, with their propensities."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mrlm.bandit_log import Catalog
from mrlm.bandit_log.reader import read_bandit_log
from pipelines.contract.context import NightContext
from pipelines.contract.deployment import require_champion
from pipelines.contract.manifest import Manifest
from pipelines.contract.stage import Product
from pipelines.contract.workspace import write_atomically
from pipelines.failures.errors import MissingInputError
from pipelines.nights.arrivals import INGEST
from pipelines.nights.lake import built_logs, history_command, ingested, log_fingerprints, log_paths

_LISTS = "recommendations.parquet"
# Folder of the lists with the platform's own user ids.
PRIVATE_LISTS = "private"


class Publish:
    """Draws a list for every user of the newest night that passed.

    The candidate set of a user is the last one that the log holds for them, without what they were
    shown: retrieval is the platform's. A night that was stopped publishes too, and says how old
    the states and the champion are.
    """

    name = "publish"
    place: Literal["run"] = "run"
    sections = ("publishing", "registry", "seed", "state", "objectives")
    form = 1

    def plan(self, context: NightContext) -> str:
        """The night whose bandit log tells the states of users."""
        return _state_night(context)

    def inputs(self, context: NightContext, plan: str) -> dict[str, str]:
        """The champion and the newest bandit log."""
        version = require_champion(context.registry, context.night)
        return {**log_fingerprints(context, [plan]), "champion": str(version)}

    def run(self, context: NightContext, plan: str, out: Path) -> Product:
        """Write one row a user and position."""
        from mrlm.promotion.registry.champion import champion
        from mrlm.promotion.serving.serve import positions, recommend
        from mrlm.promotion.serving.states import last_states, read_states, states_table

        serving = champion(context.registry)
        if serving is None:
            raise MissingInputError("there is no champion to publish: run 'mrlm bootstrap' first")
        catalog = serving.bundle.catalog
        log = read_bandit_log(log_paths(context, [plan]), _catalog(context), context.objectives)
        requests = read_states(
            states_table(last_states(log)), catalog, ts=context.night, unknown_candidates="drop"
        )
        publishing = context.settings.publishing
        lists = recommend(
            policy=serving.bundle.policy,
            requests=requests,
            request_id=[f"{context.night}/{u}" for u in requests.user],
            k=publishing.k,
            seed=context.settings.seed,
        )
        lengths = lists.items.lengths
        age = (date.fromisoformat(context.night) - date.fromisoformat(serving.bundle.night)).days
        table = pa.table(
            {
                "user": np.repeat(requests.user, lengths),
                "position": positions(lists.items),
                "item_id": pa.array(catalog.item_id[lists.items.values], pa.string()),
                "propensity": lists.propensities.values,
                "policy_id": [f"{context.settings.registry.model}@{serving.version}"]
                * int(lengths.sum()),
            }
        )
        pq.write_table(table, out / _LISTS)
        private = {}
        if publishing.user_ids:
            private = {"users_without_id": write_private(context, plan, table, out)}
        about = {
            "night": context.night,
            "champion": serving.version,
            "champion_night": serving.bundle.night,
            "champion_age_nights": age,
            "state_night": plan,
            "state_age_nights": (date.fromisoformat(context.night) - date.fromisoformat(plan)).days,
            "users": len(requests),
            "rows": len(table),
            **private,
        }
        (out / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True))
        context.log(self.name).info("%s", about)
        return Product(
            outputs={"recommendations": _LISTS, "about": "about.json"},
            counts=about,
            expiring=(PRIVATE_LISTS,),
        )


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
    """Say in ``published/<night>.json`` which lists are the night's, and how old they are."""
    folder = context.run(STAGE.name).folder
    # Relative to the workspace, which may be moved.
    places = {"path": folder / _LISTS}
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
