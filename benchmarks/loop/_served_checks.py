"""What has to be true of every served night: slots, propensities, late rewards, probabilities."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from benchmarks.loop._platform import recorded
from benchmarks.loop._served_life import ServedLife
from mrlm.policies.contract import Policy
from pipelines.contract.context import NightContext
from pipelines.nights.champion import over_items_of, with_trial
from pipelines.nights.lake import read_logs

# Of two probabilities that count as the same one.
SAME = 1e-6


@dataclass(frozen=True)
class Slots:
    """Served slots of some nights.

    Attributes:
        served: that the server answered.
        astray: that the clean log does not hold once, with their item and propensities.
        dropped: candidates that the server left out.
        dearest: largest distance between a propensity that was answered and one that was logged.
    """

    served: int
    astray: int
    dropped: int
    dearest: float


def slots(life: ServedLife, nights: list[str]) -> Slots:
    """Each answered slot beside the clean log of its night."""
    served = astray = dropped = 0
    dearest = 0.0
    for night in nights:
        table = pq.read_table(life.deployment.context(night).lake("ingest").path("impressions"))
        rows = table.select(
            ["request_id", "position", "item_id", "candidates", "candidate_propensities"]
        ).to_pylist()
        times = Counter((r["request_id"], r["position"]) for r in rows)
        clean = {(r["request_id"], r["position"]): r for r in rows}
        for answer in recorded(life.answers(night)):
            dropped += len(answer["dropped"])
            for slot in answer["items"]:
                served += 1
                key = answer["request_id"], slot["position"]
                if times[key] != 1 or clean[key]["item_id"] != slot["item_id"]:
                    astray += 1
                    continue
                apart = _apart(slot, clean[key])
                dearest, astray = max(dearest, apart), astray + (apart > SAME)
        astray += len(times) - sum(len(a["items"]) for a in recorded(life.answers(night)))
    return Slots(served, astray, dropped, dearest)


def _apart(slot: dict[str, list[object]], row: dict[str, list[object]]) -> float:
    if slot["candidates"] != row["candidates"]:
        return 1.0
    one, other = (np.array(r["candidate_propensities"], np.float64) for r in (slot, row))
    return float(np.abs(one - other).max())


def rewards_not_joined(life: ServedLife, nights: list[str]) -> int:
    """Rewards of these nights, all delivered by the last one, that the newest log has otherwise."""
    context = life.deployment.context(life.names()[-1])
    missing = 0
    for night in nights:
        truth = life.shown[life.names().index(night)].log
        log = read_logs(context, [night])
        brought = [j for j, o in enumerate(log.objectives) if o.source == "feedback"]
        order = np.argsort(log.decision_id)
        known = np.argsort(truth.decision_id)
        joined = log.final & ~log.unknown
        for j in brought:
            same = joined[order, j] & np.isclose(log.rewards[order, j], truth.rewards[known, j])
            missing += int((~same).sum())
    return missing


def furthest_probability(life: ServedLife, nights: list[str]) -> float:
    """Largest distance between what was served and what the version says of the built log.

    The built log's states are what later nights learn from and judge on.
    """
    last = life.deployment.context(life.names()[-1])
    apart = 0.0
    for night in nights:
        log = read_logs(last, [night])
        for policy_id in np.unique(log.policy_id.astype(str)):
            own = log.take(np.flatnonzero(log.policy_id.astype(str) == policy_id))
            said = np.exp(_policy(last, policy_id).log_probabilities(own.decisions))
            apart = max(apart, float(np.abs(said - own.candidate_propensity).max()))
    return apart


def _policy(context: NightContext, policy_id: str) -> Policy:
    """Who served under a name: a version, or with ``+`` one on trial beside it."""
    from mrlm.promotion.registry.champion import champion_of_version

    champion, _, trial = policy_id.rpartition("@")[2].partition("+")
    bundle = champion_of_version(context.registry, int(champion)).bundle
    served = over_items_of(context, bundle, context.night)
    return with_trial(context, served, int(trial) if trial else None)[0].policy
