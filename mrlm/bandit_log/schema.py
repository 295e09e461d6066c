"""The bandit log as Parquet: one row a decision."""

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
    ("history_items", pa.list_(pa.string())),
    ("history_values", pa.list_(pa.float32())),
]


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
