from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.logarithmic_smoothing import (
    LogarithmicSmoothing,
    smoothed_terms,
)
from mrlm.learners.bandit.logged_feedback import FeedbackBatch
from mrlm.learners.bandit.policy_gradient import PolicyGradient
from mrlm.learners.settings import LearningSettings
from tests.learners.bandit.tiny import (
    assert_gradient_is_exact,
    known_bandit,
    learned_policy,
    numbers,
    policies,
    three_decisions,
)

ERROR = 0.2
SETTINGS = LearningSettings(floor=0.1, divergence=0.3, temperature=2.0)


def test_the_terms_are_their_formula_without_a_clip() -> None:
    scores, batch = three_decisions()
    given, wanted = numbers(batch), []
    logged = torch.tensor([-2.0, 3.0, *batch.reward])
    rate = math.sqrt(2 * math.log(5) / 5)
    for i, p in enumerate(policies(scores, SETTINGS)):
        a = given["action"][i]
        scaled = p[a] / given["propensity"][i] * (given["reward"][i] + 2) / 5
        wanted.append(5 * np.log(1 + rate * scaled) / rate)
    got = smoothed_terms(logged, ERROR)(BatchPolicy.of(scores, batch, SETTINGS))
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=1e-6)


def test_the_gradient_is_exact_and_sums_to_zero_over_actions() -> None:
    scores, batch = three_decisions()
    assert_gradient_is_exact(scores, batch, smoothed_terms(batch.reward, ERROR), SETTINGS)


def test_a_log_of_one_reward_throughout_is_no_obstacle() -> None:
    scores, batch = three_decisions()
    batch = replace(batch, reward=torch.ones(3, dtype=torch.float64))
    terms = smoothed_terms(batch.reward, ERROR)
    found = terms(BatchPolicy.of(scores, batch, SETTINGS))
    assert (found == 0.0).all()


@pytest.mark.statistics
def test_a_policy_is_worth_less_than_its_bound_as_seldom_as_was_promised() -> None:
    """2,000 logs of a policy that prefers what was seldom shown: each errs with a chance of at
    most .2, so more than 455 errors come with chance 1e-3. The inverse propensity estimate itself
    lies above the value in almost half of the logs."""
    rng = np.random.default_rng(0)
    n, logs = 100, 2000
    logger, policy = np.array([0.6, 0.37, 0.03]), np.array([0.2, 0.3, 0.5])
    truth = np.array([0.5, 0.4, 0.6])
    action = rng.choice(3, size=(logs, n), p=logger)
    reward = (rng.random((logs, n)) < truth[action]).astype(np.float64)
    rows = logs * n
    shown = torch.tensor(policy).expand(rows, 3)
    flat = torch.tensor(reward.ravel())
    batch = FeedbackBatch(
        rows=torch.arange(rows),
        mask=torch.ones((rows, 3), dtype=torch.bool),
        value=torch.zeros((rows, 3)),
        logger=torch.tensor(np.log(logger)).expand(rows, 3),
        action=torch.tensor(action.ravel()),
        propensity=torch.tensor(logger[action.ravel()]),
        reward=flat,
        residual=flat,
    )
    # Rewards of one log, with both ends of their range.
    terms = smoothed_terms(torch.tensor([0.0] * (n - 1) + [1.0]), ERROR)
    estimate = terms(BatchPolicy(shown, batch)).reshape(logs, n).mean(1).numpy()
    bound = estimate - math.log(5) / (n * math.sqrt(2 * math.log(5) / n))
    plain = (policy[action] / logger[action] * reward).mean(1)
    value = float(policy @ truth)
    assert 0 < (bound > value).sum() <= 455
    assert (plain > value).sum() > 800
    assert bound.mean() > 0.1, "and it says something"


@pytest.mark.statistics
def test_it_does_not_follow_the_luck_of_what_was_seldom_shown(fit_log: BanditLog) -> None:
    """Eight arms that were shown four times each, beside the doubly robust gradient. Exact
    true values of four fixed logs: no error rate."""
    settings = LearningSettings(
        epochs=12,
        batch_size=50,
        learning_rate=2e-2,
        dropout=0.0,
        divergence=0.0,
        weight_clip=100.0,
    )
    truth = np.tile([0.6] + [0.4] * 8, (200, 1))
    propensity = np.tile([0.84] + [0.02] * 8, (200, 1))
    learners = (LogarithmicSmoothing(), PolicyGradient())
    values: dict[str, list[float]] = {k.name: [] for k in learners}
    for seed in range(4):
        bandit = known_bandit(truth, propensity, seed=seed, shift=-0.55)
        for learner in learners:
            policy = learned_policy(learner, bandit, fit_log, settings)
            values[learner.name].append(bandit.value(policy))
    # The best policy with this floor has .58, the logger .57, one lucky arm .40.
    assert min(values["logarithmic_smoothing"]) > 0.54
    assert np.mean(values["policy_gradient"]) < 0.5
