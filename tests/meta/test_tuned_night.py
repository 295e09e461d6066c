"""A night's meta-update from a log to a challenger, without a night."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mrlm.meta.problem.tuned_softmax import TunedSoftmax
from mrlm.meta.settings import TuningSettings
from mrlm.meta.state.meta_state import MetaState
from mrlm.meta.strategies.registry import STRATEGIES
from mrlm.meta.tuned_night import TunedNight, tuned_night
from tests.evidence.arrays import OBJECTIVES, Heads, Prefers, make_log

NIGHTS = ("2026-11-19", "2026-11-20")
CHAMPION = Prefers(0.2, floor=0.1)
BEFORE = {"delight": 0.5, "like": 0.3, "fresh": 0.2}


def tuned(log: Any = None) -> TunedNight:
    return tuned_night(
        make_log(n=600, users=120, nights=NIGHTS) if log is None else log,
        OBJECTIVES,
        (Heads(),),
        CHAMPION,
        MetaState(),
        TuningSettings(least_effective_rows=50, change_confidence=None),
        nights=NIGHTS,
        learned=(),
        horizon=(),
        weights=BEFORE,
        seed=1,
    )


def test_the_challenger_is_the_policy_that_the_point_means() -> None:
    log = make_log(n=600, users=120, nights=NIGHTS)
    found = tuned(log)
    assert found.result.moved
    served = np.exp(found.policy.log_probabilities(log.decisions))
    meant = TunedSoftmax(found.inputs.problem).probabilities(found.result.point)
    assert served == pytest.approx(meant, abs=1e-9)
    assert found.result.lift.lower > 0
    assert list(found.inputs.scene) == list(log.decisions.scene)


def test_what_is_told_is_plain_and_the_same_again() -> None:
    one, two = (json.dumps(tuned().to_json(), sort_keys=True) for _ in range(2))
    assert one == two
    told = json.loads(one)
    assert set(told) == {"weights", "tuning", "state", "pareto"}
    assert set(told["tuning"]["strategies"]) == set(STRATEGIES)
    assert told["tuning"]["lifts"]["delight"]["value"] == pytest.approx(
        told["tuning"]["lift"]["value"]
    )
    assert told["state"]["point"] == told["weights"]["point"]
    assert sum(told["weights"]["objectives"].values()) == pytest.approx(1.0)


def test_without_evidence_the_challenger_is_the_champion_and_weights_stay() -> None:
    log = make_log(n=600, users=120, nights=NIGHTS)
    rewards = log.rewards.copy()
    rewards[:, 0] = np.random.default_rng(0).normal(size=len(rewards))
    found = tuned(replace(log, rewards=rewards))
    assert not found.result.moved
    assert found.policy is CHAMPION
    assert found.weights == pytest.approx(BEFORE)
    assert found.lifts["delight"].value == 0.0
