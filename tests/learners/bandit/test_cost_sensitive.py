from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.learners.bandit.cost_sensitive import CostSensitive, contrast_loss, robust_rewards
from mrlm.learners.network import make_score_network
from mrlm.learners.settings import LearningSettings
from tests.learners.bandit.tiny import LENGTHS, known_bandit, one_decision, three_decisions


def test_over_what_the_logger_may_show_the_rewards_are_the_true_ones() -> None:
    """Whatever the expected rewards that it was told."""
    rng = np.random.default_rng(0)
    logger, value, truth = rng.dirichlet(np.ones(4)), rng.normal(size=4), rng.normal(size=4)
    total = np.zeros(4)
    for p, batch in one_decision(logger, value, truth):
        total += p * robust_rewards(batch, clip=1e6).numpy()[0]
    np.testing.assert_allclose(total, truth)


def test_the_clip_is_of_the_uniform_policys_weight() -> None:
    _, batch = three_decisions()
    batch = replace(batch, propensity=torch.tensor([1e-3, 0.4, 0.2], dtype=torch.float64))
    got = robust_rewards(batch, clip=1.5).numpy()
    for i, (k, weight) in enumerate(zip(LENGTHS, (4 * 1.5, 1 / 0.4, 3 * 1.5), strict=True)):
        wanted = batch.value[i].numpy().copy()
        wanted[k:] = 0
        wanted[int(batch.action[i])] += weight * float(batch.residual[i])
        np.testing.assert_allclose(got[i], wanted)


def test_the_loss_is_that_of_differences_in_sets_of_any_size_with_an_exact_gradient() -> None:
    scores, batch = three_decisions()
    rewards = robust_rewards(batch, clip=10.0)
    loss = contrast_loss(scores, rewards, batch.mask)
    loss.backward()
    total, gradient = 0.0, np.zeros((3, 4))
    for i, k in enumerate(LENGTHS):
        error = (scores.detach() - rewards).numpy()[i, :k]
        pairs = (error[:, None] - error[None, :]) ** 2
        # The variance is half the mean squared difference of pairs.
        total += pairs.mean() / 2 / 3
        gradient[i, :k] = 2 * (error - error.mean()) / k / 3
    assert float(loss.detach()) == pytest.approx(total)
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad.numpy(), gradient, atol=1e-12)


def test_it_is_least_where_the_scores_are_the_rewards_up_to_a_number_a_set() -> None:
    _, batch = three_decisions()
    rewards = robust_rewards(batch, clip=10.0)
    moved = (rewards + torch.tensor([[5.0], [-2.0], [0.3]])).requires_grad_()
    loss = contrast_loss(moved, rewards, batch.mask)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-25)
    assert moved.grad is not None
    assert float(moved.grad.abs().max()) < 1e-12


@pytest.mark.statistics
def test_expected_rewards_that_are_wrong_are_put_right(fit_log: BanditLog) -> None:
    """Told that the first arm is best for everyone, it learns whose best it is, as differences of
    rewards. Fixed seeds: no error rate."""
    kind = np.random.default_rng(0).integers(0, 2, 600)
    truth = np.array([[0.8, 0.5, 0.2], [0.2, 0.5, 0.8]])[kind]
    propensity = np.tile([0.2, 0.6, 0.2], (600, 1))
    bandit = known_bandit(truth, propensity, seed=1, state=kind[:, None] - 0.5)
    told = np.tile([0.9, 0.1, 0.1], (600, 1))
    bandit = replace(bandit, q=told)
    bandit.features.dense[:, -1] = told.ravel()
    settings = LearningSettings(epochs=25, batch_size=100, learning_rate=1e-2, dropout=0.0)
    network = make_score_network(bandit.features, settings, 0, gain=1.0)
    assert (bandit.probabilities(network, settings).argmax(1) == 0).all()
    CostSensitive().train(network, bandit.feedback(fit_log), settings, seed=0)
    learned = bandit.probabilities(network, settings)
    assert bandit.value(np.eye(3)[learned.argmax(1)]) == pytest.approx(0.8)
    p = (learned - settings.floor / 3) / (1 - settings.floor)
    fitted = np.log(p[:, 0] / p[:, 2])
    wanted = truth[:, 0] - truth[:, 2]
    assert np.abs(fitted - wanted).max() < 0.2
