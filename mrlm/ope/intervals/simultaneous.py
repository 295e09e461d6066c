"""Simultaneous intervals: all of several estimates covered together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.users import group
from mrlm.ope.intervals.estimate import Estimate, estimates
from mrlm.ope.intervals.influence import user_influence
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Thresholds


def simultaneous(
    states: Sequence[EvaluationState],
    level: float = 0.95,
    thresholds: Thresholds | None = None,
    draws: int = 20_000,
    seed: int = 0,
) -> tuple[dict[str, Estimate], ...]:
    """Intervals over policies (one state each) and objectives that all cover with ``level``.

    The max-t method: the largest absolute studentised estimate is drawn from the joint covariance
    of all estimates, a Gaussian multiplier bootstrap over users whose draws are summed in closed
    form (Chernozhukov, Chetverikov and Kato, 2013), over the root of a common chi-square with the
    fewest degrees of freedom of all. Each estimate then gets the two-sided level that its own t has
    at that distance, never more than Bonferroni's, which is also the fallback where an estimate has
    no variance. Estimates that cannot be had (NaN) take no part.

    Args:
        states: of one log, or logs that share users; each a policy or a difference.
        level: of all intervals together.
        thresholds: see ``estimates``.
        draws: of the largest studentised estimate.
        seed: of the draws.

    Returns:
        Estimates by objective for each state; their ``level`` is that of each alone.

    Raises:
        ValueError: no state, or the level is not in (0, 1).
    """
    if not states:
        raise ValueError("simultaneous intervals need at least one state")
    found = [estimates(s, level, thresholds) for s in states]
    flat = [e for by_name in found for e in by_name.values()]
    known = np.array([np.isfinite(e.standard_error) for e in flat])
    number = max(int(known.sum()), 1)
    alone = 1 - (1 - level) / number
    correlation = _correlation(states)[np.ix_(known, known)]
    if number > 1 and np.isfinite(correlation).all():
        freedom = min(e.degrees_of_freedom for e, k in zip(flat, known, strict=True) if k)
        alone = min(alone, _equal_level(correlation, freedom, level, draws, seed))
    return tuple({name: e.at(alone) for name, e in by_name.items()} for by_name in found)


def _correlation(states: Sequence[EvaluationState]) -> NDArray[np.float64]:
    """Correlation of all estimates of all states, NaN without variance, users matched by name."""
    cluster, code = group(np.concatenate([s.cluster for s in states]))
    columns, start = [], 0
    for s in states:
        own = code[start : start + len(s.cluster)]
        start += len(s.cluster)
        influence = np.zeros((len(cluster), len(s.objectives)))
        influence[own] = user_influence(s)
        columns.append(influence)
    x = np.concatenate(columns, axis=1)
    length = np.sqrt((x**2).sum(0))
    unit = x / np.where(length > 0, length, np.nan)
    found: NDArray[np.float64] = unit.T @ unit
    return found


def _equal_level(
    correlation: NDArray[np.float64], freedom: float, level: float, draws: int, seed: int
) -> float:
    """Two-sided level of one t at which all together are covered with ``level``."""
    from scipy.special import stdtr

    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    generator = np.random.default_rng(seed)
    largest = np.abs(generator.normal(size=(draws, len(correlation))) @ root.T).max(1)
    scale = np.sqrt(generator.chisquare(freedom, draws) / freedom)
    distance = float(np.quantile(largest / scale, level))
    return float(1 - 2 * stdtr(freedom, -distance))
