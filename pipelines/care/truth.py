"""The true value of policies on the judged states, where the log comes from a known world.

Only the tables of nights print it, beside the estimates; no stage reads it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from mrlm.bandit_log.ragged import segment_sum
from pipelines.contract.context import NightContext
from pipelines.nights.lake import read_logs
from pipelines.settings.night_path import night_path

_FIXED = {"decision_id", "night", "candidates"}


def true_values(context: NightContext, gate: list[str]) -> dict[str, float]:
    """True mean north star of each evaluated policy on the decisions that the estimates use.

    One step: the logged pools and histories, also for policies learned over sessions.

    Args:
        context: of the run.
        gate: its gate nights.

    Returns:
        Policy to value; empty where there is no truth, nothing was judged, or the north star is a
        return.
    """
    from mrlm.worlds.truth import read_truth

    pattern = context.settings.truth_path
    # What would follow another item is not known of a replayed world.
    if pattern is None or not gate or context.north_star.is_return:
        return {}
    paths = [Path(night_path(pattern, n)) for n in gate]
    if not all(p.exists() for p in paths):
        return {}
    log = read_logs(context, gate)
    star = log.column(context.north_star.name)
    rewards = read_truth(paths).rewards(log)[:, star]
    known = ~np.isnan(log.rewards[:, star])
    evaluated = pq.read_table(context.run("evaluate").path("decisions.parquet"))
    if evaluated["decision_id"].to_pylist() != log.decision_id.tolist():
        # The log was rebuilt since the evaluation; the truth would be of other decisions.
        return {}
    values = {}
    for name in set(evaluated.column_names) - _FIXED:
        flat = evaluated[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        expected = segment_sum(flat * rewards, log.decisions.offsets)
        values[name] = float(expected[known].mean())
    return values
