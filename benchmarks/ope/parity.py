"""The same values as obp 0.4.1 on identical inputs, estimator by estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.rows import Row
from mrlm.ope import Estimator, EvaluationBatch
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic
from mrlm.ope.estimators.switch import Switch
from mrlm.ope.estimators.switch_dr import SwitchDR
from mrlm.ope.registry import FAMILY

BAR = 1e-10
# Of the weight, where an estimator has one; it binds in these logs.
THRESHOLD = 1.5
CANDIDATES = 20


def log(n: int, seed: int) -> EvaluationBatch:
    """Rounds of a soft logger and a soft target over 20 candidates each, one objective."""
    g = np.random.default_rng(seed)
    logger, target = (g.dirichlet(np.ones(CANDIDATES), n) for _ in range(2))
    action = (logger.cumsum(1) < g.random((n, 1))).sum(1).clip(max=CANDIDATES - 1)
    shown = np.arange(n) * CANDIDATES + action
    return EvaluationBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * CANDIDATES,
        target=target.ravel(),
        shown=shown,
        propensity=logger.ravel()[shown],
        rewards=(g.random(n) < 0.3).astype(float)[:, None],
        objectives=("click",),
        q=g.random((n * CANDIDATES, 1)),
        candidate_propensity=logger.ravel(),
    )


def run(quick: bool) -> list[Row]:
    """Largest difference between our value and obp's over logs, 3 in the quick form, else 30."""
    import obp.ope as peer

    ipw = peer.InverseProbabilityWeighting()
    pairs: dict[str, tuple[Estimator, Callable[[EvaluationBatch], float], str]] = {
        "ips": (FAMILY["ips"], value_of(ipw), ""),
        "snips": (
            FAMILY["snips"],
            value_of(peer.SelfNormalizedInverseProbabilityWeighting()),
            "",
        ),
        "dm": (FAMILY["dm"], value_of(peer.DirectMethod()), ""),
        "dr": (FAMILY["dr"], value_of(peer.DoublyRobust()), ""),
        "sndr": (FAMILY["sndr"], value_of(peer.SelfNormalizedDoublyRobust()), ""),
        "switch_dr": (SwitchDR(THRESHOLD), value_of(peer.SwitchDoublyRobust(tau=THRESHOLD)), ""),
        "dr_os": (
            DROptimistic(3.0),
            value_of(peer.DoublyRobustWithShrinkage(lambda_=3.0)),
            "",
        ),
        "replay": (FAMILY["replay"], value_of(peer.ReplayMethod()), "a deterministic target"),
        "clipped_ips": (
            ClippedIPS(THRESHOLD),
            lambda b: value_of(ipw)(raised(b)),
            "0.4.1 has no clip: its IPW with propensities raised to target / clip",
        ),
        "switch": (Switch(THRESHOLD), switch_of_parts, "0.4.1 has its two parts only, added here"),
    }
    logs = [log(2000, seed) for seed in range(3 if quick else 30)]
    rows = []
    for name, (ours, theirs, more) in pairs.items():
        used = [deterministic(b) for b in logs] if name == "replay" else logs
        gap = max(abs(float(ours(b).value[0]) - theirs(b)) for b in used)
        note = f"{len(logs)} logs of 2000 rounds" + (f"; {more}" if more else "")
        rows.append(
            Row(f"{name}: largest difference from obp", gap, None, f"<= {BAR:g}", gap <= BAR, note)
        )
    return rows


def value_of(estimator: Any) -> Callable[[EvaluationBatch], float]:
    """The value that an estimator of obp gives a batch whose candidate sets have one length."""

    def value(batch: EvaluationBatch) -> float:
        assert batch.q is not None
        n = len(batch)
        return float(
            estimator.estimate_policy_value(
                reward=batch.rewards[:, 0],
                action=batch.shown - batch.offsets[:-1],
                pscore=batch.propensity,
                action_dist=batch.target.reshape(n, -1, 1),
                position=np.zeros(n, int),
                estimated_rewards_by_reg_model=batch.q.reshape(n, -1, 1),
            )
        )

    return value


def deterministic(batch: EvaluationBatch) -> EvaluationBatch:
    """The batch under the policy that shows the target's likeliest item."""
    likely = batch.target.reshape(len(batch), -1).argmax(1)
    target = np.zeros_like(batch.target)
    target[batch.offsets[:-1] + likely] = 1.0
    return batch.with_target(target, "greedy")


def raised(batch: EvaluationBatch) -> EvaluationBatch:
    """The batch with propensities under which no weight is above the threshold."""
    least = np.minimum(batch.target[batch.shown] / THRESHOLD, 1.0)
    return replace(batch, propensity=np.maximum(batch.propensity, least))


def switch_of_parts(batch: EvaluationBatch) -> float:
    """DM of the items above the threshold plus Switch-DR without a model, both by obp."""
    import obp.ope as peer

    assert batch.q is not None
    assert batch.candidate_propensity is not None
    above = batch.target > THRESHOLD * batch.candidate_propensity
    model = replace(batch, q=np.where(above[:, None], batch.q, 0.0))
    rest = replace(batch, q=np.zeros_like(batch.q))
    below = peer.SwitchDoublyRobust(tau=THRESHOLD)
    return value_of(peer.DirectMethod())(model) + value_of(below)(rest)
