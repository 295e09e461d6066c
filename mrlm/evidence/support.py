"""How far the log supports the challenger: by scene, position, history, item and night."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from mrlm.bandit_log.users import group
from mrlm.privacy.decision_groups import group_labels
from mrlm.privacy.small_groups import merged, users_in

if TYPE_CHECKING:
    from mrlm.bandit_log import BanditLog
    from mrlm.ope.batch import EvaluationBatch
    from mrlm.ope.state.state import EvaluationState

# Items that the page has room for: those whose support is worst.
_ITEMS = 15


def support(log: BanditLog, batch: EvaluationBatch, least_users: int = 1) -> dict[str, Any]:
    """Overlap of a policy with the log, as plain JSON.

    Args:
        log: n decisions.
        batch: the same decisions with the policy's probabilities.
        least_users: groups with fewer are merged into ``other``; items that were offered to fewer,
            and bins with fewer candidates, are left out.

    Returns:
        ``groups`` {kind: [GroupOverlap]} with kinds ``all``, ``scene``, ``position`` and
        ``history``; ``items`` [ItemOverlap with ``item_id``], the worst supported; ``loggers``
        {policy_id: decisions}, where there are several; and ``propensity_calibration``
        [CalibrationBin], where every candidate's is logged.
    """
    from mrlm.ope.propensity import calibration_table
    from mrlm.ope.verdict.overlap import group_overlap

    whole = group_overlap(batch.weight, batch.cluster, None, batch.unsupported)
    groups = {"all": [g.to_json() for g in whole if g.users >= least_users]}
    user = group(batch.cluster)[1]
    for kind, label in group_labels(log, least_users).items():
        found = group_overlap(batch.weight, batch.cluster, label, batch.unsupported)[1:]
        groups[kind] = [g.to_json() for g in found]
    out: dict[str, Any] = {"groups": groups, "items": _items(log, batch, least_users)}
    logged = batch.candidate_propensity
    if len(set(log.policy_id)) > 1:
        loggers = merged(np.array(list(map(str, log.policy_id)), object), user, least_users)
        out["loggers"] = dict(sorted(Counter(map(str, loggers)).items()))
    if logged is not None and np.isfinite(logged).all():
        table = calibration_table(logged, batch.offsets, batch.shown, batch.cluster)
        out["propensity_calibration"] = [b.to_json() for b in table if b.candidates >= least_users]
    return out


def drift(
    states: dict[str, EvaluationState], objective: str, least_users: int = 0
) -> list[dict[str, Any]]:
    """The challenger's weights night by night, as plain JSON.

    Args:
        states: night to the paired state, whose first policy is the challenger.
        objective: whose rounds count.
        least_users: nights with fewer are left out.
    """
    from mrlm.ope.plain import finite
    from mrlm.ope.verdict.diagnostics import diagnostics

    rows = []
    for night, state in states.items():
        d = diagnostics(state)[objective][0]
        if d.users < least_users:
            continue
        error = d.mean_weight_standard_error
        rows.append(
            {
                "night": night,
                "rows": d.rows,
                "users": d.users,
                "effective_share": finite(d.effective_sample_size / d.rows) if d.rows else None,
                "largest_weight_share": finite(d.largest_weight_share),
                "mean_weight": finite(d.mean_weight) if d.rows else None,
                "mean_weight_z": finite((d.mean_weight - 1) / error) if error > 0 else None,
                "unsupported_mass": d.unsupported_mass,
            }
        )
    return rows


def _items(log: BanditLog, batch: EvaluationBatch, least_users: int) -> list[dict[str, Any]]:
    """The items whose weighted share is least like what the target wants, gaps first."""
    from mrlm.ope.verdict.item_overlap import item_overlap

    code = log.decisions.candidates.values.astype(np.int64)
    user = np.repeat(group(batch.cluster)[1], np.diff(batch.offsets))
    users = users_in(code, user, len(log.decisions.catalog.item_id))
    found = [i for i in item_overlap(batch, code) if users[i.item] >= least_users]

    def badness(i: Any) -> tuple[float, float]:
        z = abs(i.weighted_share - i.target_share) / i.standard_error if i.standard_error else 0.0
        # An infinite weight leaves no error to compare with: as bad as it gets.
        return (i.gap or 0.0, math.inf if math.isnan(z) else z)

    worst = sorted(found, key=badness, reverse=True)[:_ITEMS]
    names = log.decisions.catalog.item_id
    return [{**i.to_json(), "item_id": str(names[i.item])} for i in worst]
