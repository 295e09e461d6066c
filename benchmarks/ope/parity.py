"""The same values as obp 0.4.1 on identical inputs, estimator by estimator."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.rows import Row
from mrlm.ope import EvaluationBatch
from mrlm.ope.estimators.dr_shrinkage import DROptimistic
from mrlm.ope.estimators.switch_dr import SwitchDR
from mrlm.ope.registry import FAMILY

BAR = 1e-10
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
    )


def run(quick: bool) -> list[Row]:
    """Largest difference between our value and obp's over logs, 3 in the quick form, else 30."""
    import obp.ope as peer

    pairs: dict[str, tuple[Any, Any]] = {
        "ips": (FAMILY["ips"], peer.InverseProbabilityWeighting()),
        "snips": (FAMILY["snips"], peer.SelfNormalizedInverseProbabilityWeighting()),
        "dm": (FAMILY["dm"], peer.DirectMethod()),
        "dr": (FAMILY["dr"], peer.DoublyRobust()),
        "sndr": (FAMILY["sndr"], peer.SelfNormalizedDoublyRobust()),
        "switch_dr": (SwitchDR(1.5), peer.SwitchDoublyRobust(tau=1.5)),
        "dr_os": (DROptimistic(3.0), peer.DoublyRobustWithShrinkage(lambda_=3.0)),
    }
    logs = [log(2000, seed) for seed in range(3 if quick else 30)]
    rows = []
    for name, (ours, theirs) in pairs.items():
        gap = max(abs(float(ours(b).value[0]) - _value(theirs, b)) for b in logs)
        note = f"{len(logs)} logs of 2000 rounds"
        rows.append(
            Row(f"{name}: largest difference from obp", gap, None, f"<= {BAR:g}", gap <= BAR, note)
        )
    return rows


def _value(estimator: Any, batch: EvaluationBatch) -> float:
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
