from __future__ import annotations

import numpy as np
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.weighted_classification import WeightedClassification, weighted_log_loss
from mrlm.learners.network import make_score_network
from mrlm.learners.settings import LearningSettings
from tests.learners.bandit.tiny import known_bandit, one_decision, three_decisions

CLIP = 1.5


def test_over_what_the_logger_may_show_it_is_least_in_proportion_to_the_rewards() -> None:
    """Whatever the logger prefers."""
    rng = np.random.default_rng(0)
    logger, truth = rng.dirichlet(np.ones(4)), rng.random(4)
    scores = torch.tensor(np.log(truth))[None].requires_grad_()
    total = torch.zeros(())
    for p, batch in one_decision(logger, np.zeros(4), truth):
        total = total + p * weighted_log_loss(scores, batch, batch.reward, 1e6)[0]
    total.backward()
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad.numpy(), 0.0, atol=1e-12)


def test_the_loss_is_its_formula_with_an_exact_gradient() -> None:
    scores, batch = three_decisions()
    gain = torch.tensor([0.5, 2.0, 0.0], dtype=torch.float64)
    weighted_log_loss(scores, batch, gain, CLIP).sum().backward()
    assert scores.grad is not None
    assert (scores.grad[~batch.mask] == 0).all()
    torch.testing.assert_close(scores.grad.sum(1), torch.zeros(3, dtype=torch.float64))

    def loss(at: np.ndarray) -> float:
        total = 0.0
        for i, k in enumerate((4, 2, 3)):
            a = int(batch.action[i])
            weight = k * min(1 / (k * float(batch.propensity[i])), CLIP)
            total -= weight * float(gain[i]) * (at[i, a] - np.log(np.exp(at[i, :k]).sum()))
        return float(total)

    own = scores.detach().numpy()
    assert float(weighted_log_loss(scores.detach(), batch, gain, CLIP).sum()) == pytest.approx(
        loss(own)
    )
    for i, j in np.argwhere(batch.mask.numpy()).tolist():
        step = np.zeros((3, 4))
        step[i, j] = 1e-5
        difference = (loss(own + step) - loss(own - step)) / 2e-5
        assert float(scores.grad[i, j]) == pytest.approx(difference, abs=1e-7)


@pytest.mark.parametrize(
    "rewards",
    [(0.0, 0.0), (0.0, 2.0), (-3.0, -1.0)],
    ids=["all alike", "one that earned", "all below 0"],
)
def test_what_earned_nothing_changes_nothing(
    fit_log: BanditLog, rewards: tuple[float, float]
) -> None:
    """Rewards are counted from the lowest; a batch without any gain has a loss of 0."""
    bandit = known_bandit(np.zeros((8, 3)), np.full((8, 3), 1 / 3), seed=0)
    bandit.reward[:] = rewards[0]
    bandit.reward[5] = rewards[1]
    network = make_score_network(bandit.features, LearningSettings(), 0, gain=1.0)
    learner = WeightedClassification()
    loss = learner.epoch_loss(Epoch(network, bandit.feedback(fit_log), LearningSettings()))
    assert float(loss(torch.arange(5)).detach()) == 0.0
    # A reward of 8 times the mean gain, one of eight rows, a weight of 3, three equal scores.
    expected = 3 * np.log(3) if rewards[1] > rewards[0] else 0.0
    assert float(loss(torch.arange(8)).detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.statistics
def test_it_learns_what_is_best_and_not_what_was_shown_most(fit_log: BanditLog) -> None:
    """Imitating what was rewarded, without the propensities, would take the arm that the logger
    prefers. Fixed seeds: no error rate."""
    kind = np.random.default_rng(0).integers(0, 2, 500)
    truth = np.array([[0.8, 0.4, 0.1], [0.1, 0.4, 0.8]])[kind]
    propensity = np.tile([0.15, 0.7, 0.15], (500, 1))
    assert (truth * propensity).argmax(1).tolist() == [1] * 500
    bandit = known_bandit(truth, propensity, seed=1, state=kind[:, None] - 0.5)
    settings = LearningSettings(epochs=20, batch_size=100, learning_rate=1e-2, dropout=0.0)
    network = make_score_network(bandit.features, settings, 0, gain=1.0)
    WeightedClassification().train(network, bandit.feedback(fit_log), settings, seed=0)
    learned = bandit.probabilities(network, settings)
    assert bandit.value(np.eye(3)[learned.argmax(1)]) == pytest.approx(0.8)
