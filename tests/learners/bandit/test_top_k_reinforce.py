from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.ips_gradient import IpsGradient
from mrlm.learners.bandit.top_k_reinforce import TopKReinforce, slots_left, top_k_terms
from mrlm.learners.network import make_score_network
from mrlm.learners.settings import LearningSettings
from tests.learners.bandit.tiny import (
    expected_gradient,
    gradient_of,
    known_bandit,
    three_decisions,
)

FREE = LearningSettings(floor=1e-12)


def reward_of_draws(p: torch.Tensor, reward: torch.Tensor, k: int) -> torch.Tensor:
    """Expected reward of what is among k draws, by all outcomes; what is drawn twice earns once."""
    outcomes = [list(drawn) for drawn in product(range(len(p)), repeat=k)]
    return torch.stack([p[o].prod() * reward[sorted(set(o))].sum() for o in outcomes]).sum()


@pytest.mark.parametrize("k", [1, 2, 4])
def test_over_what_the_logger_may_show_the_gradient_is_that_of_the_lists_reward(k: int) -> None:
    got, scores, truth = expected_gradient(top_k_terms(torch.tensor([k]), 1e6), FREE, seed=k)
    wanted = gradient_of(lambda p: reward_of_draws(p, torch.tensor(truth), k), scores)
    np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_the_gradient_is_that_of_the_chance_to_be_shown_against_differences() -> None:
    scores, batch = three_decisions()
    settings = LearningSettings(floor=0.1)
    slots = torch.tensor([3, 1, 2])
    terms = top_k_terms(slots, 1e6)
    terms(BatchPolicy.of(scores, batch, settings)).sum().backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad.sum(1), torch.zeros(3, dtype=torch.float64))
    assert (scores.grad[~batch.mask] == 0).all()

    def listed(at: torch.Tensor) -> float:
        shown = BatchPolicy.of(at, batch, settings).shown()
        return float(((1 - (1 - shown) ** slots) / batch.propensity * batch.reward).sum())

    for i, j in np.argwhere(batch.mask.numpy()).tolist():
        up, down = (scores.detach().clone() for _ in range(2))
        up[i, j] += 1e-5
        down[i, j] -= 1e-5
        difference = (listed(up) - listed(down)) / 2e-5
        assert float(scores.grad[i, j]) == pytest.approx(difference, abs=1e-7)


def test_a_weight_above_the_clip_pulls_as_one_at_the_clip() -> None:
    gradients = []
    for propensity in (0.5, 1e-4):
        scores, batch = three_decisions()
        batch = replace(batch, propensity=torch.full((3,), propensity, dtype=torch.float64))
        settings = LearningSettings(floor=0.1)
        policy = BatchPolicy.of(scores, batch, settings)
        top_k_terms(torch.tensor([3, 1, 2]), 0.02)(policy).sum().backward()
        gradients.append(scores.grad)
    assert gradients[0] is not None
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[0], gradients[1])


def test_slots_that_are_left_end_with_the_list(fit_log: BanditLog) -> None:
    """Four lists, in any order; of one the second slot is missing. Then lists of two."""
    ids = ["a#1", "b#2", "a#3", "b#1", "c#x#1", "a#2", "d#1", "d#3"]
    position = np.array([1, 2, 3, 1, 1, 2, 1, 3], np.int32)
    log = fit_log.take(np.arange(8))
    log = replace(
        log,
        decision_id=np.array(ids, object),
        decisions=replace(log.decisions, position=position),
    )
    assert slots_left(log, 0).tolist() == [3, 1, 1, 2, 1, 2, 3, 1]
    assert slots_left(log, 2).tolist() == [2, 1, 1, 2, 2, 1, 2, 1]


@pytest.mark.statistics
def test_the_second_best_is_learned_too(fit_log: BanditLog) -> None:
    """The simulation of Chen et al., 2019, section 6.1: ten items, rewards 10, 9 and 1 for all
    others, a uniform logger, lists of two. Without the correction the best item takes all. Exact
    expected rewards and a fixed seed: no error rate."""
    n = 400
    reward = np.array([10.0, 9.0] + [1.0] * 8) - 2.7
    settings = LearningSettings(
        epochs=20, batch_size=100, learning_rate=5e-3, dropout=0.0, divergence=0.0
    )
    bandit = known_bandit(np.zeros((n, 10)), np.full((n, 10), 0.1), seed=0)
    bandit = replace(bandit, reward=reward[bandit.action])
    feedback = bandit.feedback(fit_log)
    feedback.log = replace(
        feedback.log, decision_id=np.array([f"r{i // 2}#{i % 2 + 1}" for i in range(n)], object)
    )
    position = np.arange(n, dtype=np.int32) % 2 + 1
    feedback.log = replace(
        feedback.log, decisions=replace(feedback.log.decisions, position=position)
    )
    found = {}
    for learner in (IpsGradient(), TopKReinforce()):
        network = make_score_network(bandit.features, settings, 0, gain=1.0)
        learner.train(network, feedback, settings, seed=0)
        found[learner.name] = bandit.probabilities(network, settings).mean(0)
    assert found["ips_gradient"][0] > 0.9
    both = found["top_k_reinforce"]
    assert both[:2].sum() > 0.9
    assert both[1] > 0.2
