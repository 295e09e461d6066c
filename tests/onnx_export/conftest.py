from __future__ import annotations

import numpy as np
import pytest

from mrlm.bandit_log import BanditLog, Objective
from mrlm.behaviour.fitting.fit import fit_reward_model
from mrlm.behaviour.settings import BehaviourSettings, HistorySettings
from mrlm.learners.baselines.registry import fit_baselines
from mrlm.learners.inputs import learning_sample
from mrlm.learners.registry import LEARNERS
from mrlm.learners.settings import LearningSettings
from mrlm.policies.contract import Policy, Scorer
from mrlm.policies.features import feature_columns, feature_matrix
from mrlm.policies.loggers.item_softmax import ItemSoftmax, Term
from mrlm.policies.standardise import Standardiser
from mrlm.policies.tuned import SceneWeights, Tuned

SMALL = BehaviourSettings(
    folds=2,
    components=6,
    hidden=16,
    projection=4,
    epochs=2,
    history=HistorySettings(factors=4, rounds=2),
)
KNOWN = (
    Objective("novelty", "list", "component"),
    Objective("popular", "item", "component", attribute="popularity", low=1.0, high=300.0),
)


def tuned(log: BanditLog, anchor: Policy, scorers: tuple[Scorer, ...], seed: int) -> Tuned:
    columns = feature_columns(scorers, KNOWN)
    standardiser = Standardiser.fit(columns, feature_matrix(log.decisions, scorers, KNOWN))
    draw = np.random.default_rng(seed)
    there = SceneWeights("home", 0.3, draw.normal(size=len(columns)))
    theta = draw.normal(size=len(columns))
    return Tuned(anchor, scorers, KNOWN, standardiser, 0.7, theta, 0.1, scenes=(there,))


@pytest.fixture(scope="session")
def policy(fit_log: BanditLog) -> Tuned:
    """Tonight's: heads, a learned score, a baseline, over last night's, over a softmax of items."""
    log = fit_log.take(np.arange(600))
    before = fit_reward_model(log, SMALL.model_copy(update={"model": "pair"}), 1)
    tonight = fit_reward_model(log, SMALL, 2)
    settings = LearningSettings(epochs=1, hidden=8, projection=4)
    sample = learning_sample(log, tonight, {"like": 1.0}, settings, 0)
    learned = LEARNERS["weighted_classification"].learn(sample, settings, 0)
    baseline = fit_baselines(log, "like", floor=0.1)["item_mean"].scorer
    first = ItemSoftmax((Term("popularity", True, 3.0, 1.0, 0.5),), 0.2)
    champion = tuned(log, first, (before,), 1)
    return tuned(log, champion, (tonight, learned, baseline), 2)
