"""The same numbers as obp 0.4.1 on identical inputs."""

from __future__ import annotations

import numpy as np
import pytest

from mrlm.ope import ESTIMATORS

obp = pytest.importorskip("obp.ope")
PEERS = {
    "ips": "InverseProbabilityWeighting",
    "snips": "SelfNormalizedInverseProbabilityWeighting",
    "dm": "DirectMethod",
    "dr": "DoublyRobust",
}


@pytest.mark.parametrize(("name", "peer"), PEERS.items())
@pytest.mark.parametrize("seed", range(3))
def test_parity_with_obp(name, peer, seed, make_batch):
    batch = make_batch(seed=seed, n=300, missing=0.0, largest=1 + 5 * (seed + 1))
    n, lengths = len(batch), np.diff(batch.offsets)
    row = np.repeat(np.arange(n), lengths)
    place = np.arange(len(row)) - batch.offsets[:-1][row]
    dense = np.zeros((n, lengths.max(), 1))
    dense[row, place, 0] = batch.target
    found = ESTIMATORS[name](batch).value
    for j in range(len(batch.objectives)):
        q = np.zeros_like(dense)
        q[row, place, 0] = batch.q[:, j]
        theirs = getattr(obp, peer)().estimate_policy_value(
            reward=batch.rewards[:, j],
            action=batch.shown - batch.offsets[:-1],
            pscore=batch.propensity,
            action_dist=dense,
            position=np.zeros(n, int),
            estimated_rewards_by_reg_model=q,
        )
        assert found[j] == pytest.approx(theirs, abs=1e-10)
