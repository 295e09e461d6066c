"""The same numbers as obp 0.4.1 on identical inputs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.ope import parity
from mrlm.ope.estimators.clipped_ips import ClippedIPS
from mrlm.ope.estimators.dr_shrinkage import DROptimistic
from mrlm.ope.estimators.switch import Switch
from mrlm.ope.estimators.switch_dr import SwitchDR
from mrlm.ope.registry import FAMILY

obp = pytest.importorskip("obp.ope")
PEERS = {
    "ips": (FAMILY["ips"], obp.InverseProbabilityWeighting()),
    "snips": (FAMILY["snips"], obp.SelfNormalizedInverseProbabilityWeighting()),
    "dm": (FAMILY["dm"], obp.DirectMethod()),
    "dr": (FAMILY["dr"], obp.DoublyRobust()),
    "sndr": (FAMILY["sndr"], obp.SelfNormalizedDoublyRobust()),
    "switch_dr": (SwitchDR(1.5), obp.SwitchDoublyRobust(tau=1.5)),
    "dr_os": (DROptimistic(3.0), obp.DoublyRobustWithShrinkage(lambda_=3.0)),
}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("seed", range(3))
def test_parity_with_obp(name, seed, make_batch):
    estimator, peer = PEERS[name]
    batch = make_batch(seed=seed, n=300, missing=0.0, largest=1 + 5 * (seed + 1))
    n, lengths = len(batch), np.diff(batch.offsets)
    row = np.repeat(np.arange(n), lengths)
    place = np.arange(len(row)) - batch.offsets[:-1][row]
    dense = np.zeros((n, lengths.max(), 1))
    dense[row, place, 0] = batch.target
    found = estimator(batch).value
    for j in range(len(batch.objectives)):
        q = np.zeros_like(dense)
        q[row, place, 0] = batch.q[:, j]
        theirs = peer.estimate_policy_value(
            reward=batch.rewards[:, j],
            action=batch.shown - batch.offsets[:-1],
            pscore=batch.propensity,
            action_dist=dense,
            position=np.zeros(n, int),
            estimated_rewards_by_reg_model=q,
        )
        assert found[j] == pytest.approx(theirs, abs=1e-10)


@pytest.mark.parametrize("name", ["replay", "clipped_ips", "switch"])
def test_what_the_benchmark_compares(name):
    """The benchmark's own rows: each is far from IPS, so that the parameter binds, and equal."""
    (row,) = [r for r in parity.run(quick=True) if r.measure.startswith(f"{name}:")]
    assert row.holds
    batch = parity.log(2000, 0)
    ours = {"replay": FAMILY["replay"], "clipped_ips": ClippedIPS(1.5), "switch": Switch(1.5)}
    assert abs(ours[name](batch).value[0] - FAMILY["ips"](batch).value[0]) > 1e-3
