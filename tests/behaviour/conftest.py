from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.fit import fit_reward_model
from mrlm.behaviour.model import RewardModel
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.worlds.latent import latent_log

SMALL = BehaviourSettings(components=6, hidden=16, projection=4, epochs=8, batch_size=64)


@pytest.fixture(scope="session")
def world() -> tuple[BanditLog, NDArray[np.float64]]:
    """Six nights of a drawn world: likes and ratings of 600 users, and the truth."""
    return latent_log(n_users=600, decisions_per_user=12, n_candidates=6, seed=3)


@pytest.fixture(scope="session")
def fit_log(world: tuple[BanditLog, NDArray[np.float64]]) -> BanditLog:
    return world[0].on_nights(["2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12"])


@pytest.fixture(scope="session")
def later_log(world: tuple[BanditLog, NDArray[np.float64]]) -> BanditLog:
    return world[0].on_nights(["2026-11-13", "2026-11-14"])


@pytest.fixture(scope="session")
def model(fit_log: BanditLog) -> RewardModel:
    return fit_reward_model(fit_log, SMALL, seed=1)
