"""A small log as arrays, two policies on it, and the arithmetic that the tests check against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog, Catalog, Decisions, Histories, Objective, Ragged
from mrlm.bandit_log.catalog import ITEMS_SCHEMA
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.evidence.criteria import Criteria
from mrlm.evidence.paired import paired_batches, state_of_pair
from mrlm.evidence.scored_log import ScoredLog, scored_log
from mrlm.ope.state.state import EvaluationState
from mrlm.ope.verdict.certify import Thresholds
from mrlm.policies.contract import Policy

DELIGHT = Objective("delight", "feedback", "north_star", event="delight")
LIKE = Objective("like", "feedback", "guardrail", event="like", margin=0.02)
FRESH = Objective("fresh", "list")
OBJECTIVES = (DELIGHT, LIKE, FRESH)
ITEMS = 6
CANDIDATES = 3


def criteria(**changes: Any) -> Criteria:
    """Criteria that any log of some hundred rows meets."""
    easy = Thresholds(min_effective_sample_size=1, max_weight_share=1.0, min_users=2, min_nonzero=1)
    return replace(Criteria("delight", "dr", 0.95, easy, False), **changes)


def catalog() -> Catalog:
    """Items i0 to i5 with one category each, ``even`` or ``odd``."""
    rows = [
        {"item_id": f"i{c}", "text": f"item {c}", "categories": [("even", "odd")[c % 2]]}
        for c in range(ITEMS)
    ]
    return Catalog.from_table(pa.Table.from_pylist(rows, schema=ITEMS_SCHEMA))


def make_log(
    seed: int = 0, n: int = 400, users: int = 80, nights: tuple[str, ...] = ("2026-11-20",)
) -> BanditLog:
    """n decisions among 3 of 6 items by a logger with propensities of its own in every row.

    The delight of an item is its code / 5 with some noise, the like 1 for even items; the rows of
    the nights follow each other.
    """
    g = np.random.default_rng(seed)
    offered = np.argsort(g.random((n, ITEMS)), axis=1)[:, :CANDIDATES].astype(np.int32)
    logger = g.dirichlet(np.full(CANDIDATES, 5.0), n)
    action = (logger.cumsum(1) < g.random((n, 1))).sum(1)
    shown = offered[np.arange(n), action]
    night = np.array(nights, "datetime64[D]")[np.arange(n) * len(nights) // n]
    step = np.arange(n + 1, dtype=np.int64)
    decisions = Decisions(
        catalog=catalog(),
        user=np.array([f"u{u}" for u in np.arange(n) % users], object),
        scene=np.array([("home", "page")[i % 2] for i in range(n)], object),
        position=np.ones(n, np.int32),
        ts=night.astype("datetime64[us]") + np.arange(n).astype("timedelta64[s]"),
        candidates=Ragged(step * CANDIDATES, offered.ravel()),
        histories=Histories.none(),
        since=step[:-1] * 0,
        until=step[:-1] * 0,
        request=step[:-1],
        above=Ragged(step * 0, np.zeros(0, np.int32)),
    )
    delight = shown / 5 + g.normal(0, 0.1, n)
    return BanditLog(
        decisions=decisions,
        decision_id=np.array([f"r{i}#1" for i in range(n)], object),
        night=night,
        session=np.array([f"s{i}" for i in range(n)], object),
        session_step=np.zeros(n, np.int32),
        action=action.astype(np.int64),
        propensity=logger[np.arange(n), action],
        candidate_propensity=logger.ravel(),
        policy_id=np.full(n, "logger", object),
        objectives=OBJECTIVES,
        rewards=np.stack([delight, (shown % 2 == 0).astype(np.float64), np.ones(n)], axis=1),
        final=np.ones((n, len(OBJECTIVES)), np.bool_),
        unknown=np.zeros((n, len(OBJECTIVES)), np.bool_),
        lost=np.zeros((n, len(OBJECTIVES)), np.int64),
    )


@dataclass(frozen=True)
class Prefers:
    """Probability in proportion to exp(slope * code of the item)."""

    slope: float
    name: str = "prefers"
    floor: float = 0.0

    def core_log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        return self.log_probabilities(decisions)

    def log_probabilities(self, decisions: Decisions) -> NDArray[np.float64]:
        code = decisions.candidates.values.astype(np.float64)
        return segment_log_softmax(self.slope * code, decisions.offsets)


@dataclass(frozen=True)
class Heads:
    """A reward model: a constant more than the truth for delight, a half for everything else."""

    columns: tuple[str, ...] = ("delight", "like")
    kind: str = "heads"

    def score(self, decisions: Decisions) -> NDArray[np.float64]:
        code = decisions.candidates.values.astype(np.float64)
        heads = {"delight": code / 5 + 0.3}
        return np.stack([heads.get(c, np.full(len(code), 0.5)) for c in self.columns], axis=1)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def chances(policy: Prefers, log: BanditLog) -> NDArray[np.float64]:
    """The policy's probabilities by another way, shape (n, 3)."""
    code = log.decisions.candidates.values.reshape(-1, CANDIDATES)
    weight = np.exp(policy.slope * code)
    return weight / weight.sum(1, keepdims=True)


def weights(policy: Prefers, log: BanditLog) -> NDArray[np.float64]:
    """Importance weights, shape (n,)."""
    return chances(policy, log)[np.arange(len(log)), log.action] / log.propensity


def doubly_robust(policy: Prefers, log: BanditLog) -> NDArray[np.float64]:
    """Each row's doubly robust score of delight under ``Heads``, shape (n,)."""
    predicted = log.decisions.candidates.values.reshape(-1, CANDIDATES) / 5 + 0.3
    direct = (chances(policy, log) * predicted).sum(1)
    residual = log.rewards[:, 0] - predicted[np.arange(len(log)), log.action]
    return direct + weights(policy, log) * residual


def clustered_error(score: NDArray[np.float64], cluster: NDArray[Any]) -> float:
    """Standard error of a mean, clustered: root of G / (G - 1) sum of squared sums, over n."""
    rest = score - score.mean()
    total = np.array([rest[cluster == c].sum() for c in np.unique(cluster)])
    groups = len(total)
    return float(np.sqrt((total**2).sum() * groups / (groups - 1)) / len(score))


def paired_state(
    log: BanditLog,
    first: Policy,
    second: Policy,
    q: NDArray[np.float64] | None,
    estimator: str,
) -> EvaluationState:
    """The paired difference of two policies on the log."""
    return state_of_pair(*paired_batches(scored(log, first, second, q), "a", "b"), estimator)


def scored(
    log: BanditLog, first: Policy, second: Policy, q: NDArray[np.float64] | None = None
) -> ScoredLog:
    """The log with the policies ``a`` and ``b``, and these predictions."""
    return replace(scored_log(log, {"a": first, "b": second}, None), q=q)
