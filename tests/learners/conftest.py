from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings

SMALL = BehaviourSettings(components=6, hidden=16, projection=4, epochs=8, batch_size=64)


@pytest.fixture(scope="session")
def later(
    world: tuple[BanditLog, NDArray[np.float64]],
) -> tuple[BanditLog, NDArray[np.float64]]:
    log, truth = world
    kept = log.night >= np.datetime64("2026-11-13")
    return log.where(kept), truth[np.repeat(kept, 6)]


@pytest.fixture(scope="session")
def model(fit_log: BanditLog) -> RewardModel:
    return fit_reward_model(fit_log, SMALL, seed=1)
