"""Boundaries and decisions beside sequential-analysis and expectation, on the same statistic.

1,000 streams of nights whose mean is 0 or 1 standard error of a night are held against the group
sequential boundaries of ``mrlm`` and of sequential-analysis, each spending at the gate's error of a
test and at .05. 1,000 streams of users are looked at five times by ``AsymptoticSequence`` and by
the two-sided normal mixture of expectation, with the same parameter and standard error. Decisions
that differ are told, with how far the statistic was from the bound.

'make bench-sequential' installs the peers; quick: 200 streams.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._peer_environment import PeerEnvironment
from benchmarks.promotion._rules import RULE, TEST_NIGHTS
from benchmarks.promotion._worlds import REWARD, Floats
from benchmarks.rows import Row
from mrlm.ope import EvaluationState
from mrlm.ope.intervals.asymptotic import AsymptoticSequence
from mrlm.ope.nights.group_sequential import (
    boundaries,
    error_of_a_test,
    obrien_fleming,
    pocock,
    power_family,
)
from mrlm.ope.table import LoggedTable

PEERS = PeerEnvironment("sequential", "bench-sequential")
STREAMS, QUICK_STREAMS = 1000, 200
# What stands for an infinite boundary there is larger.
_NEVER = 30.0
MOST_APART, LEAST_ALIKE = 1e-3, 0.995
ERRORS = (error_of_a_test(RULE.false_promotions, RULE.test_nights, before=1), 0.05)
FRACTIONS = np.arange(1, TEST_NIGHTS + 1) / TEST_NIGHTS
TERMS, PLANNED, LEVEL = (50, 100, 200, 400, 800), 400, 0.95
SPENDINGS: dict[str, Callable[[float, float], float]] = {
    "power family": power_family,
    "O'Brien-Fleming": obrien_fleming,
    "Pocock": pocock,
}


def run(quick: bool) -> list[Row]:
    """Largest gap of boundaries and share of equal decisions, of each spending and the mixture."""
    if not PEERS.installed:
        return [Row("boundaries beside the peers", float("nan"), note=PEERS.missing)]
    many = QUICK_STREAMS if quick else STREAMS
    by_user, bound = _users(many)
    alpha = 1 - LEVEL
    found: Any = PEERS.measured(
        Path(__file__).with_name("_sequential_peers.py"),
        fractions=FRACTIONS,
        errors=np.array(ERRORS),
        terms=np.array(TERMS),
        alpha=alpha,
        rho=PLANNED / _narrowest(alpha),
    )
    rows = []
    statistic = _nights(many)
    for name, spending in SPENDINGS.items():
        for error, theirs in zip(ERRORS, found["bounds"][name], strict=True):
            ours = boundaries(FRACTIONS.tolist(), [spending(float(t), error) for t in FRACTIONS])
            peers = f"sequential-analysis, {name} at {error:.3g}"
            rows += _compared(peers, ours, np.array(theirs), statistic)
    scale = np.sqrt(np.array(TERMS))
    half = np.array(found["half"]) * scale
    return rows + _compared("expectation, normal mixture", bound, half, by_user)


def _compared(peer: str, ours: Floats, theirs: Floats, statistic: Floats) -> list[Row]:
    """Two rows; bounds and statistics in standard errors, of shapes (looks,) and (n, looks)."""
    known = np.isfinite(ours) & (theirs < _NEVER)
    apart = float(np.abs(ours - theirs)[known].max())
    first, second = (_decided(statistic, b) for b in (ours, theirs))
    other = np.flatnonzero(first != second)
    near = [float(np.abs(statistic[i] - ours).min()) for i in other]
    told = f"; those that differ are within {max(near):.2g} of the bound" if near else ""
    alike = 1 - len(other) / len(statistic)
    return [
        Row(
            f"{peer}: largest gap of a boundary",
            apart,
            bar=f"<= {MOST_APART:g}",
            holds=apart <= MOST_APART,
            note=f"{int(known.sum())} looks, in standard errors",
        ),
        Row(
            f"{peer}: share of equal decisions",
            alike,
            bar=f">= {LEAST_ALIKE}",
            holds=alike >= LEAST_ALIKE,
            note=f"{len(statistic)} streams, {int((first > 0).sum())} of which pass{told}",
        ),
    ]


def _decided(statistic: Floats, bound: Floats) -> Floats:
    """The look, from 1, at which each stream passes; 0: at none."""
    passed = statistic > bound
    found: Floats = np.where(passed.any(1), passed.argmax(1) + 1, 0)
    return found


def _nights(many: int) -> Floats:
    """Statistics of streams of nights; half of them of no gain."""
    rng = np.random.default_rng(21)
    gain = (np.arange(many) % 2)[:, None]
    sums = np.cumsum(gain + rng.normal(size=(many, TEST_NIGHTS)), axis=1)
    found: Floats = sums / np.sqrt(np.arange(1, TEST_NIGHTS + 1))
    return found


def _users(many: int) -> tuple[Floats, Floats]:
    """Means of streams of users over their errors at every look, and our bound on these."""
    rng = np.random.default_rng(22)
    sequence = AsymptoticSequence(planned_users=PLANNED)
    statistic = np.empty((many, len(TERMS)))
    bound = np.empty(len(TERMS))
    for i in range(many):
        scores = 0.15 * (i % 2) + rng.normal(size=TERMS[-1])
        for j, n in enumerate(TERMS):
            low, high = sequence(_state(scores[:n]), LEVEL)
            error = np.std(scores[:n], ddof=1) / np.sqrt(n)
            statistic[i, j] = (low[0] + high[0]) / 2 / error
            bound[j] = (high[0] - low[0]) / 2 / error
    return statistic, bound


def _state(scores: Floats) -> EvaluationState:
    from mrlm.ope.registry import ESTIMATORS

    n = len(scores)
    table = LoggedTable(
        cluster=np.arange(n),
        target=np.ones(n),
        propensity=np.ones(n),
        rewards=scores[:, None],
        objectives=(REWARD,),
    )
    return EvaluationState.of(ESTIMATORS["ips"](table))  # type: ignore[arg-type]


def _narrowest(alpha: float) -> float:
    """The x at which ``(1 + 1 / x) log((1 + x) / alpha^2)`` is least, by search."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda x: (1 + 1 / x) * np.log((1 + x) / alpha**2),
        bounds=(0.1, 100.0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(found.x)
