"""The true value of policies on the judged states, where the log comes from a known world.

Only the tables of nights print it, beside the estimates; no stage reads it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import segment_sum
from pipelines.contract.context import NightContext
from pipelines.nights.lake import read_logs
from pipelines.settings.night_path import night_path

_FIXED = {"decision_id", "night", "candidates"}


def true_values(context: NightContext, gate: list[str]) -> dict[str, float]:
    """True mean north star of each evaluated policy on the decisions that the estimates use.

    Where these weigh loggers, the decisions of each count for as much here (``rows_as_weighed``).

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
    chances = {n: _flat(evaluated, n) for n in set(evaluated.column_names) - _FIXED}
    rows = np.ones(len(log))
    if context.settings.gate.criteria(context.north_star.name).by_precision:
        rows = rows_as_weighed(log, chances, known)
    values = {}
    for name, flat in chances.items():
        expected = segment_sum(flat * rewards, log.decisions.offsets)
        values[name] = float(np.average(expected[known], weights=rows[known]))
    return values


def rows_as_weighed(
    log: BanditLog, chances: dict[str, NDArray[np.float64]], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What each decision counts for where loggers weigh as for the pair's difference.

    Args:
        log: n decisions with N candidates.
        chances: policy to its probability of every candidate, float64, shape (N,).
        known: whose reward is, bool, shape (n,).

    Returns:
        float64, shape (n,): by ``divergence_weighted``, 1 each where it leaves all alike.
    """
    from mrlm.ope.nights.logger_precision import precision_by_logger

    own, logged = (
        np.unique(log.policy_id.astype(str), return_inverse=True)[1],
        chances.get("logger"),
    )
    count = np.bincount(own[known], minlength=own.max() + 1)
    if len(count) < 2 or not count.all() or logged is None or not (logged > 0).all():
        return np.ones(len(log))
    apart = (chances["challenger"] - chances["champion"]) ** 2 / logged
    each = segment_sum(apart, log.decisions.offsets)
    if not (each > 0).any():
        return np.ones(len(log))
    shares: NDArray[np.float64] = (precision_by_logger(own, each) / count)[own]
    return shares


def _flat(table: pa.Table, column: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (
        table[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    )
    return found
