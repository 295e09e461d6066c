"""The same numbers as obp 0.4.1 on identical inputs."""

from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log.ragged import rows
from mrlm.ope.slates import SLATE_ESTIMATORS

obp = pytest.importorskip("obp.ope")


def positions(batch):
    return np.arange(len(batch.propensity)) - batch.offsets[:-1][rows(batch.offsets)]


def running_product(values, batch):
    out = [np.cumprod(values[a:b]) for a, b in zip(batch.offsets, batch.offsets[1:], strict=False)]
    return np.concatenate(out)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "kind", "peer", "suffix"),
    [
        ("sips", "slate", "SlateStandardIPS", ""),
        ("iips", "marginal", "SlateIndependentIPS", "_item_position"),
        ("rips", "conditional", "SlateRewardInteractionIPS", "_cascade"),
    ],
)
def test_parity_with_obp(name, kind, peer, suffix, seed, make_slates):
    batch = make_slates(kind, seed=seed, n=200, missing=0.0)
    propensity, target = batch.propensity, batch.target
    if kind == "conditional":
        propensity, target = running_product(propensity, batch), running_product(target, batch)
    found = SLATE_ESTIMATORS[name](batch).value
    for j in range(len(batch.objectives)):
        theirs = getattr(obp, peer)(len_list=4).estimate_policy_value(
            slate_id=rows(batch.offsets),
            reward=batch.rewards[:, j],
            position=positions(batch),
            **{f"pscore{suffix}": propensity, f"evaluation_policy_pscore{suffix}": target},
        )
        assert found[j] == pytest.approx(theirs, abs=1e-10)
