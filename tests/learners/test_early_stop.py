"""How many passes a learner takes: by whose rewards, and where it stops."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.user_folds import crc, user_folds
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.learners.contract import Learner
from mrlm.learners.early_stop import learn_until_best
from mrlm.learners.inputs import LearningSample, learning_sample
from mrlm.learners.network import make_score_network
from mrlm.learners.registry import LEARNERS
from mrlm.learners.scorer import LearnedScorer
from mrlm.learners.settings import LearningSettings
from mrlm.learners.training_loop import EpochDone
from mrlm.metrics.curves import Curves

SETTINGS = LearningSettings(hidden=8, projection=4, batch_size=64, epochs=3)


@pytest.fixture(scope="module")
def sample(fit_log: BanditLog, model: RewardModel) -> LearningSample:
    return learning_sample(fit_log, model, {"like": 1.0}, SETTINGS, 7)


@dataclass(frozen=True)
class Peaked:
    """Its score is the expected reward times a sign: right at ``best`` passes, wrong elsewhere."""

    best: int
    asked: list[tuple[int, frozenset[str]]] = field(default_factory=list)
    name: str = "peaked"

    def looks_ahead(self, settings: LearningSettings) -> bool:
        return False

    def learn(
        self,
        sample: LearningSample,
        settings: LearningSettings,
        seed: int,
        progress: EpochDone | None = None,
    ) -> LearnedScorer:
        self.asked.append((settings.epochs, frozenset(sample.log.decisions.user.tolist())))
        network = make_score_network(sample.inputs.features, settings, seed, gain=1.0)
        # Before training it says the expected reward; the nearer to the best, the less is reversed.
        network = copy.deepcopy(network)
        away = abs(np.log2(settings.epochs / self.best))
        network.rescale(1.0 - away)
        return LearnedScorer(self.name, network, sample.reward_model, sample.scalarisation)


def test_it_stops_once_twice_as_many_passes_are_worth_no_more(sample: LearningSample) -> None:
    learner = Peaked(best=4)
    curves, long = Curves(), SETTINGS.model_copy(update={"most_epochs": 64})
    found = learn_until_best(learner, sample, long, 0, curves=curves)
    # At 2 passes all scores are equal, at 1 they are reversed, and so they are at 16.
    assert list(found.values) == [1, 2, 4, 8]
    assert dict(curves.points["peaked/held_back_value"]) == found.values
    assert found.values[1] < found.values[2] < found.values[4] > found.values[8]
    assert found.epochs == 4
    assert found.told()["epochs"] == 4
    everyone = frozenset(sample.log.decisions.user.tolist())
    fold = user_folds(sample.log.decisions.user, sample.reward_model.folds, crc())
    held = frozenset(sample.log.decisions.user[fold == 0].tolist())
    assert [users for _, users in learner.asked] == [everyone - held] * 4 + [everyone]
    assert learner.asked[-1][0] == 4


def test_at_most_so_many_passes_are_taken(sample: LearningSample) -> None:
    few = SETTINGS.model_copy(update={"most_epochs": 3})
    found = learn_until_best(Peaked(best=4), sample, few, 0)
    assert (list(found.values), found.epochs) == ([1, 2], 2)


@pytest.mark.parametrize("name", ["policy_gradient", "weighted_classification"])
def test_without_the_setting_the_settings_say_how_long(sample: LearningSample, name: str) -> None:
    learner: Learner = LEARNERS[name]
    curves = Curves()
    found = learn_until_best(learner, sample, SETTINGS, 5, curves=curves)
    alone = learner.learn(sample, SETTINGS, 5)
    assert (found.epochs, found.values) == (3, {})
    assert list(curves.points) == [f"{name}/loss"]
    assert [step for step, _ in curves.points[f"{name}/loss"]] == [1, 2, 3]
    pairs = zip(
        found.scorer.network.state_dict().values(), alone.network.state_dict().values(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)


def test_what_later_users_thought_is_not_asked_without_rewards(sample: LearningSample) -> None:
    nothing = replace(sample, log=replace(sample.log, final=np.zeros_like(sample.log.final)))
    with pytest.raises(ValueError, match="no decision has a final 'like'"):
        learn_until_best(Peaked(4), nothing, SETTINGS.model_copy(update={"most_epochs": 2}), 0)
