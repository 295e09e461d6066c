from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.epoch import Epoch
from mrlm.learners.bandit.ips_gradient import IpsGradient
from mrlm.learners.bandit.snips_gradient import SnipsGradient, self_normalised_terms
from mrlm.learners.network import make_score_network
from mrlm.learners.settings import LearningSettings
from tests.learners.bandit.tiny import (
    KnownBandit,
    assert_gradient_is_exact,
    known_bandit,
    learned_policy,
    three_decisions,
)

CLIP = 1.5
SETTINGS = LearningSettings(floor=0.1, divergence=0.0, weight_clip=CLIP)


def test_the_gradient_is_exact_and_sums_to_zero_over_actions() -> None:
    scores, batch = three_decisions()
    terms = self_normalised_terms(torch.tensor([0.5, 2.0, 1.0]), batch.reward, CLIP)
    assert_gradient_is_exact(scores, batch, terms, SETTINGS)


def test_it_is_the_gradient_of_the_ratio_over_the_whole_log_batch_by_batch() -> None:
    """The ratio of each batch's own sums has another one."""
    scores, batch = three_decisions()
    policy = BatchPolicy.of(scores, batch, SETTINGS)
    weight = policy.weight().clamp(max=CLIP)
    ratio = (weight * batch.reward).sum() / weight.sum()
    (wanted,) = torch.autograd.grad(ratio, scores, retain_graph=True)

    terms = self_normalised_terms(weight.detach(), batch.reward, CLIP)
    rows = terms(policy) / 3
    parts = [torch.autograd.grad(row, scores, retain_graph=True)[0] for row in rows]
    torch.testing.assert_close(sum(parts), wanted, atol=1e-12, rtol=1e-9)

    own = [w * r / w.detach() for w, r in zip(weight, batch.reward, strict=True)]
    biased = sum(torch.autograd.grad(row, scores, retain_graph=True)[0] for row in own)
    assert float((biased / 3 - wanted).abs().max()) > 0.01


def test_a_constant_added_to_all_rewards_changes_nothing() -> None:
    gradients = []
    for shift in (0.0, 100.0):
        scores, batch = three_decisions()
        batch = replace(batch, reward=batch.reward + shift)
        policy = BatchPolicy.of(scores, batch, SETTINGS)
        weight = policy.weight().clamp(max=CLIP).detach()
        self_normalised_terms(weight, batch.reward, CLIP)(policy).sum().backward()
        assert scores.grad is not None
        gradients.append(scores.grad)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-10, rtol=1e-10)


def test_the_sums_are_those_of_the_whole_log_without_dropout(fit_log: BanditLog) -> None:
    bandit = two_kinds(0.0)
    settings = LearningSettings(dropout=0.5, floor=0.2)
    network = make_score_network(bandit.features, settings, 3, gain=1.0)
    torch.nn.init.normal_(network.pair.head.weight, generator=torch.Generator().manual_seed(1))
    weight = Epoch(network, bandit.feedback(fit_log), settings).clipped_weights()
    row = np.arange(len(bandit.action))
    chosen = bandit.probabilities(network, settings)[row, bandit.action]
    wanted = np.minimum(chosen / bandit.propensity[row, bandit.action], settings.weight_clip)
    np.testing.assert_allclose(weight.numpy(), wanted, rtol=1e-5)


def two_kinds(shift: float) -> KnownBandit:
    """Arm 0 is best for one kind of user and arm 2 for the other; the logger likes arm 1.

    Of each user 30 numbers more are seen, by which a network can know it again.
    """
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 300)
    truth = np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9]])[kind]
    propensity = np.tile([0.2, 0.6, 0.2], (300, 1))
    state = np.column_stack([kind - 0.5, rng.normal(size=(300, 30))])
    return known_bandit(truth, propensity, seed=1, state=state, shift=shift)


@pytest.mark.statistics
def test_where_rewards_are_counted_from_matters_to_ips_and_not_to_it(fit_log: BanditLog) -> None:
    """Propensity overfitting (Swaminathan and Joachims, 2015): with all rewards above 0 the
    inverse propensity estimate rises with the weights of what was logged, whatever it brought.
    Exact true values and fixed seeds: no error rate."""
    settings = LearningSettings(
        epochs=20, batch_size=100, learning_rate=1e-2, dropout=0.0, divergence=0.0
    )
    values = {}
    for shift in (0.0, 10.0, -10.0):
        bandit = two_kinds(shift)
        for learner in (IpsGradient(), SnipsGradient()):
            policy = learned_policy(learner, bandit, fit_log, settings)
            values[learner.name, shift] = bandit.value(policy)
    # The best policy with this floor has .86, the logger .5.
    assert min(values["snips_gradient", s] for s in (0.0, 10.0, -10.0)) > 0.7
    assert values["ips_gradient", 10.0] < 0.6
    assert values["ips_gradient", -10.0] < 0.6
