"""Which behaviour model the newest log and this machine can bear, for the doctor."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil

from pipelines.contract.context import NightContext, contexts_of
from pipelines.failures.errors import DamagedError
from pipelines.nights.lake import built_logs, logged_decisions, newest_embedded
from pipelines.settings.model import Settings

if TYPE_CHECKING:
    from mrlm.behaviour.fitting.cost import FitCost, LogSize

_GIB = 1024.0**3
# Share of the machine's memory that one fit may take, and hours of one core that a night gives it.
_SHARE, _HOURS = 0.5, 2.0


def advice(settings: Settings) -> tuple[bool, str]:
    """Whether the model of the settings will do, and which one is advised and why."""
    from mrlm.behaviour.fitting.cost import advised, fit_cost

    own, contexts = settings.behaviour.model, contexts_of(settings)
    try:
        size = _size(contexts[-1]) if contexts else None
    except DamagedError:
        return True, f"{own}; the newest log cannot be read, see 'files'"
    if size is None or size.rows == 0:
        return True, f"{own}; no log has been built yet: ask again then"
    gib, seconds = _SHARE * psutil.virtual_memory().total / _GIB, 3600 * _HOURS
    found = advised(settings.behaviour, size, gib=gib, seconds=seconds)
    told = (
        f"{size.rows} rows, {size.items} items, {os.cpu_count()} cores: "
        f"{found.model or 'none'} ({_told(found.cost)}): {found.reason}"
    )
    # Most users look back on less than the settings allow: bad is what fits under no history.
    least = fit_cost(settings.behaviour, replace(size, entries=0.0))
    well = least.gib <= gib and least.seconds <= seconds
    if found.model in (None, own):
        return well, told
    more = ", and what its tunings take" if own == "language" else ""
    cost = _told(fit_cost(settings.behaviour, size))
    return well, f"{told}; the settings say {own} ({cost}{more}): see behaviour.model"


def _size(context: NightContext) -> LogSize:
    """Of the newest nights that may be fitted on.

    Decisions are taken to look back on as much as the settings allow, so that users with long
    histories are no surprise.
    """
    from mrlm.behaviour.fitting.cost import LogSize

    split = context.settings.split
    nights = list(built_logs(context))[-split.fit_nights :]
    decisions = sum(logged_decisions(context, nights).values())
    rows = min(decisions, split.fit_decisions or decisions)
    embedded = newest_embedded(context)
    manifest = context.lake("embed", embedded).manifest() if embedded else None
    items = int(manifest.counts["items"]) if manifest else 0
    return LogSize(rows, float(context.settings.state.history_length), items, decisions)


def _told(cost: FitCost) -> str:
    return f"at most about {max(cost.seconds / 60, 1):.0f} minutes of one core, {cost.gib:.1f} GiB"
