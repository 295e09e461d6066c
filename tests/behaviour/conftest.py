from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.language_settings import LanguageSettings
from mrlm.behaviour.sequence_settings import SequenceSettings
from mrlm.behaviour.settings import BehaviourSettings, HistorySettings

SMALL = BehaviourSettings(
    components=6,
    hidden=16,
    projection=4,
    epochs=8,
    batch_size=64,
    history=HistorySettings(factors=4, rounds=5, loading_prior=10.0),
    sequence=SequenceSettings(width=8, layers=1, entries=16, buckets=64, identifier=2, epochs=2),
)


@pytest.fixture(scope="session")
def later_log(world: tuple[BanditLog, NDArray[np.float64]]) -> BanditLog:
    return world[0].on_nights(["2026-11-13", "2026-11-14"])


@pytest.fixture(scope="session")
def small_language(small_bert: Path) -> LanguageSettings:
    return LanguageSettings(
        model=str(small_bert),
        trained_layers=1,
        rank=2,
        width=4,
        rows=48,
        head_steps=10,
        epochs=1,
        max_tokens=12,
        entries=1,
        entry_characters=4,
    )


@pytest.fixture(scope="session", params=["pair", "history", "sequence", "language"])
def chosen(request: pytest.FixtureRequest, small_language: LanguageSettings) -> BehaviourSettings:
    """Settings of each behaviour model: what takes this fixture is the family's conformance."""
    return SMALL.model_copy(update={"model": request.param, "language": small_language})


@pytest.fixture(scope="session")
def model(fit_log: BanditLog, chosen: BehaviourSettings) -> RewardModel:
    return fit_reward_model(fit_log, chosen, seed=1)
