"""What was never shown: importance weights know nothing of it, whatever is said of its reward."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog
from mrlm.learners.bandit.gradient_learner import GradientLearner
from mrlm.learners.bandit.ips_gradient import IpsGradient
from mrlm.learners.bandit.logarithmic_smoothing import LogarithmicSmoothing
from mrlm.learners.bandit.poem import Poem
from mrlm.learners.bandit.snips_gradient import SnipsGradient
from mrlm.learners.bandit.top_k_reinforce import TopKReinforce
from mrlm.learners.settings import LearningSettings
from tests.learners.bandit.tiny import known_bandit, learned_policy


@pytest.mark.parametrize(
    "learner",
    [IpsGradient(), LogarithmicSmoothing(), Poem(), SnipsGradient(), TopKReinforce()],
    ids=lambda learner: learner.name,
)
def test_it_is_left_to_the_floor(learner: GradientLearner, fit_log: BanditLog) -> None:
    """The last arm has the highest expected reward that the learner is told, and starts from it."""
    n = 300
    settings = LearningSettings(epochs=12, batch_size=100, learning_rate=1e-2, dropout=0.0)
    propensity = np.tile([0.4, 0.3, 0.2999, 1e-4], (n, 1))
    bandit = known_bandit(np.tile([0.8, 0.5, 0.2, 0.0], (n, 1)), propensity, seed=0, shift=-0.5)
    assert (bandit.action < 3).all()
    told = np.tile([0.0, 0.0, 0.0, 1.5], (n, 1))
    bandit = replace(bandit, q=told)
    bandit.features.dense[:, -1] = told.ravel()
    policy = learned_policy(learner, bandit, fit_log, settings)
    assert policy[:, 3].max() <= settings.floor
    assert policy[:, 0].min() > 0.7
