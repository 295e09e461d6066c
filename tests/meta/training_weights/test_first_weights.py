"""The first night's objective weights are those that the log supports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings
from mrlm.meta.settings import TuningSettings
from mrlm.meta.training_weights.first_weights import first_weights
from mrlm.worlds.latent import latent_log

SMALL = BehaviourSettings(folds=2, components=4, hidden=16, projection=4, epochs=4)


@pytest.fixture(scope="module")
def fitted() -> tuple[BanditLog, RewardModel]:
    log, _ = latent_log(n_users=600, decisions_per_user=8, n_candidates=6, seed=3)
    return log, fit_reward_model(log, SMALL, seed=0)


def test_they_are_on_the_simplex_and_follow_the_north_star(
    fitted: tuple[BanditLog, RewardModel],
) -> None:
    log, model = fitted
    found = first_weights(log, model, TuningSettings(), seed=0)
    assert set(found) == {o.name for o in log.objectives}
    assert sum(found.values()) == pytest.approx(1.0)
    assert min(found.values()) >= 0
    assert found == first_weights(log, model, TuningSettings(), seed=0)


def test_an_objective_that_says_nothing_of_the_north_star_gets_less() -> None:
    """18 000 decisions: of fewer the log may prove nothing, and the weights are then equal."""
    log, _ = latent_log(n_users=1500, decisions_per_user=12, n_candidates=6, seed=3)
    noise = np.random.default_rng(0).normal(size=len(log))
    blind = replace(log, rewards=np.column_stack([log.rewards[:, 0], noise]))
    of_noise, found = (
        first_weights(of, fit_reward_model(of, SMALL, seed=0), TuningSettings(), 0)
        for of in (blind, log)
    )
    assert of_noise["like"] > 0.5
    assert of_noise["rating"] < found["rating"]


def test_without_evidence_they_are_equal(fitted: tuple[BanditLog, RewardModel]) -> None:
    log, model = fitted
    coins = np.random.default_rng(1).integers(0, 2, log.rewards.shape).astype(float)
    found = first_weights(replace(log, rewards=coins), model, TuningSettings(), seed=0)
    assert found == {"like": 0.5, "rating": 0.5}


def test_weights_fixed_by_hand_and_floors_of_diversity_are_not_read(
    fitted: tuple[BanditLog, RewardModel],
) -> None:
    log, model = fitted
    plain = first_weights(log, model, TuningSettings(), 0)
    fixed = TuningSettings(weights={"rating": 1.0})
    assert first_weights(log, model, fixed, 0) == plain
    floors = TuningSettings(diversity_floors={"items": 5.0, "categories": 2.0})
    assert first_weights(log, model, floors, 0) == plain


def test_a_log_without_candidates_propensities_will_do(
    fitted: tuple[BanditLog, RewardModel],
) -> None:
    log, model = fitted
    bare = replace(log, candidate_propensity=np.full_like(log.candidate_propensity, np.nan))
    found = first_weights(bare, model, TuningSettings(), seed=0)
    assert sum(found.values()) == pytest.approx(1.0)
