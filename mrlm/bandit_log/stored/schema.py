"""The bandit log as Parquet: one row a decision, and one an entry of the users' histories."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from mrlm.bandit_log.objectives import Objective

_BASE = [
    ("decision_id", pa.string()),
    ("request_id", pa.string()),
    ("night", pa.date32()),
    ("ts", pa.timestamp("us", tz="UTC")),
    ("user", pa.string()),
    ("session", pa.string()),
    ("session_step", pa.int32()),
    ("scene", pa.string()),
    ("position", pa.int32()),
    ("item_id", pa.string()),
    ("action", pa.int32()),
    ("propensity", pa.float64()),
    ("candidates", pa.list_(pa.string())),
    ("candidate_propensities", pa.list_(pa.float64())),
    ("propensity_kind", pa.string()),
    ("policy_id", pa.string()),
    ("above", pa.list_(pa.string())),
]
_HISTORY = [
    ("user", pa.string()),
    ("request_id", pa.string()),
    ("item_id", pa.string()),
    ("shown", pa.timestamp("us", tz="UTC")),
    ("scene", pa.string()),
    ("position", pa.int32()),
    ("event", pa.string()),
    ("value", pa.float64()),
    ("known_from", pa.timestamp("us", tz="UTC")),
    ("known_until", pa.timestamp("us", tz="UTC")),
]
# Folders of a night's bandit log.
DECISIONS = "decisions"
HISTORIES = "histories"


def bandit_log_schema(objectives: Iterable[Objective]) -> pa.Schema:
    """Columns and types of the Parquet form.

    Each ``feedback`` objective adds ``reward_<name>`` (double, null when unknown),
    ``final_<name>``, ``unknown_<name>`` (bool) and ``lost_<name>`` (int); see the fields of the
    same names of ``BanditLog``. Objectives known from the item or the list are not stored: they are
    computed on reading, for every candidate, by one function.
    """
    fields = [pa.field(n, t) for n, t in _BASE]
    for objective in objectives:
        if objective.source == "feedback":
            fields.append(pa.field(f"reward_{objective.name}", pa.float64()))
            fields.append(pa.field(f"final_{objective.name}", pa.bool_()))
            fields += [pa.field(n, t) for n, t in doubt_columns(objective)]
    return pa.schema(fields)


def histories_schema(objectives: Iterable[str]) -> pa.Schema:
    """Columns and types of what the decisions of one night look back on: one row an entry.

    ``request_id``, ``scene`` and ``position`` of the slot that showed ``item_id`` at ``shown``; or
    ``event`` and ``value`` of an event that names no request. ``known_from``, ``known_until``
    (null: to the night's end) and ``reward_<name>`` (float, null when unknown) are those of
    ``Histories``. The request is null where it was before the night before.

    Args:
        objectives: names of feedback objectives, in their order there.
    """
    rewards = [pa.field(f"reward_{name}", pa.float32()) for name in objectives]
    return pa.schema([*(pa.field(n, t) for n, t in _HISTORY), *rewards])


def stored_schema(objectives: Iterable[Objective]) -> pa.Schema:
    """``bandit_log_schema``, and ``context``: what the log said of the moment, text to text.

    Nothing here learns from the context; it is kept for those who read the log by other means. Logs
    that were built before it was kept lack the column.
    """
    context = pa.field("context", pa.map_(pa.string(), pa.string()))
    return bandit_log_schema(objectives).append(context)


def doubt_columns(objective: Objective) -> list[tuple[str, pa.DataType]]:
    """Columns that say what may be wrong with a feedback objective's rewards.

    A log without them was written before deliveries were checked: nothing is known against it.
    """
    return [(f"unknown_{objective.name}", pa.bool_()), (f"lost_{objective.name}", pa.int32())]
