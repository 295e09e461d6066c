from __future__ import annotations

import numpy as np
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.gradient_learner import Terms
from mrlm.learners.bandit.ips_gradient import IpsGradient
from mrlm.learners.bandit.logged_feedback import FeedbackBatch
from mrlm.learners.bandit.poem import Poem, minorising_terms
from mrlm.learners.settings import LearningSettings, PoemSettings
from tests.learners.bandit.tiny import (
    assert_gradient_is_exact,
    known_bandit,
    learned_policy,
    three_decisions,
)

PENALTY, CLIP = 0.7, 3.0
SETTINGS = LearningSettings(floor=0.1, divergence=0.0, weight_clip=CLIP)


def weighted(scores: torch.Tensor, batch: FeedbackBatch) -> torch.Tensor:
    policy = BatchPolicy.of(scores, batch, SETTINGS)
    return policy.weight().clamp(max=CLIP) * batch.reward


def penalised(scores: torch.Tensor, batch: FeedbackBatch) -> torch.Tensor:
    """The objective itself, which is no sum over decisions."""
    u = weighted(scores, batch)
    return u.mean() - PENALTY * (u.var() / len(u)).sqrt()


def bound(terms: Terms, scores: torch.Tensor, batch: FeedbackBatch) -> torch.Tensor:
    return terms(BatchPolicy.of(scores, batch, SETTINGS)).mean()


def test_the_gradient_is_exact_and_sums_to_zero_over_actions() -> None:
    scores, batch = three_decisions()
    terms = minorising_terms(torch.tensor([0.3, -1.0, 2.0]), PENALTY, CLIP)
    assert_gradient_is_exact(scores, batch, terms, SETTINGS)


def test_the_bound_touches_the_objective_and_its_slope_where_the_epoch_began() -> None:
    scores, batch = three_decisions()
    terms = minorising_terms(weighted(scores, batch).detach(), PENALTY, CLIP)
    exact, own = penalised(scores, batch), bound(terms, scores, batch)
    assert float(own.detach()) == pytest.approx(float(exact.detach()), rel=1e-12)
    (wanted,) = torch.autograd.grad(exact, scores)
    (got,) = torch.autograd.grad(own, scores)
    torch.testing.assert_close(got, wanted, atol=1e-12, rtol=1e-9)


def test_the_bound_is_nowhere_above_the_objective() -> None:
    scores, batch = three_decisions()
    terms = minorising_terms(weighted(scores, batch).detach(), PENALTY, CLIP)
    moves = torch.Generator().manual_seed(0)
    gaps = []
    for _ in range(200):
        other = scores.detach() + 2 * torch.randn(scores.shape, generator=moves)
        gaps.append(float((penalised(other, batch) - bound(terms, other, batch)).detach()))
    assert min(gaps) > -1e-12
    assert max(gaps) > 0.1


def test_every_maximised_bound_raises_the_objective() -> None:
    scores, batch = three_decisions()
    reached = [float(penalised(scores, batch).detach())]
    for _ in range(4):
        terms = minorising_terms(weighted(scores, batch).detach(), PENALTY, CLIP)
        optimiser = torch.optim.SGD([scores], lr=0.2)
        for _ in range(50):
            optimiser.zero_grad()
            (-bound(terms, scores, batch)).backward()
            optimiser.step()
        reached.append(float(penalised(scores, batch).detach()))
    assert (np.diff(reached) > 0).all()


def test_without_a_penalty_or_a_variance_it_is_the_importance_weighted_reward() -> None:
    scores, batch = three_decisions()
    u = weighted(scores, batch)
    policy = BatchPolicy.of(scores, batch, SETTINGS)
    torch.testing.assert_close(minorising_terms(u.detach(), 0.0, CLIP)(policy), u)
    flat = minorising_terms(torch.ones(3, dtype=torch.float64), PENALTY, CLIP)
    torch.testing.assert_close(flat(policy), u)
    alone = minorising_terms(torch.ones(1, dtype=torch.float64), PENALTY, CLIP)
    torch.testing.assert_close(alone(policy), u)


@pytest.mark.statistics
def test_it_does_not_follow_the_luck_of_what_was_seldom_shown(fit_log: BanditLog) -> None:
    """Nine arms that were shown ten times each are worth less than the one that was shown often.
    In small logs one of them is lucky, and inverse propensity weights take it. Exact true values
    of three fixed logs: no error rate."""
    settings = LearningSettings(
        epochs=16,
        batch_size=100,
        learning_rate=2e-2,
        dropout=0.0,
        divergence=0.0,
        weight_clip=100.0,
        poem=PoemSettings(variance_penalty=3.0),
    )
    truth = np.tile([0.6] + [0.4] * 9, (400, 1))
    propensity = np.tile([0.775] + [0.025] * 9, (400, 1))
    values: dict[str, list[float]] = {"poem": [], "ips_gradient": []}
    for seed in range(3):
        bandit = known_bandit(truth, propensity, seed=seed, shift=-0.55)
        for learner in (Poem(), IpsGradient()):
            policy = learned_policy(learner, bandit, fit_log, settings)
            values[learner.name].append(bandit.value(policy))
    # The best policy with this floor has .58, the logger .555, one lucky arm .40.
    assert min(values["poem"]) > 0.57
    assert np.mean(values["ips_gradient"]) < 0.5
