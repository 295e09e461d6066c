from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.logged_policy import logging_log_probabilities
from mrlm.behaviour.features.pair_features import PairFeatures
from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.gradient_learner import objective
from mrlm.learners.bandit.logged_feedback import LoggedFeedback
from mrlm.learners.bandit.policy_gradient import PolicyGradient, doubly_robust_terms
from mrlm.learners.inputs import LearningInputs
from mrlm.learners.network import CandidateSets, make_score_network
from mrlm.learners.settings import LearningSettings
from tests.learners.bandit.tiny import (
    assert_gradient_is_exact,
    numbers,
    policies,
    three_decisions,
)

SETTINGS = LearningSettings(floor=0.1, divergence=0.3, weight_clip=4.0, temperature=2.0)


TERMS = doubly_robust_terms(SETTINGS.weight_clip)


def test_the_objective_is_its_formula() -> None:
    scores, batch = three_decisions()
    total = 0.0
    given = numbers(batch)
    for i, p in enumerate(policies(scores, SETTINGS)):
        a, k = given["action"][i], len(p)
        weight = min(p[a] / given["propensity"][i], 4.0)
        divergence = p @ (np.log(p) - given["logger"][i, :k])
        total += p @ given["value"][i, :k] + weight * given["residual"][i] - 0.3 * divergence
    got = objective(BatchPolicy.of(scores, batch, SETTINGS), TERMS, SETTINGS)
    assert float(got.detach()) == pytest.approx(total / 3, rel=1e-6)


def test_the_gradient_is_exact_and_sums_to_zero_over_actions() -> None:
    assert_gradient_is_exact(*three_decisions(), TERMS, SETTINGS)


def test_a_weight_above_the_clip_pulls_no_further() -> None:
    scores, batch = three_decisions()
    batch = replace(batch, propensity=torch.full((3,), 1e-3), value=torch.zeros_like(batch.value))
    settings = SETTINGS.model_copy(update={"divergence": 0.0})
    objective(BatchPolicy.of(scores, batch, settings), TERMS, settings).backward()
    assert scores.grad is not None
    assert not scores.grad.any()


def bandit(n: int = 600) -> tuple[PairFeatures, np.ndarray, np.ndarray]:
    """Two kinds of user and three arms; arm 0 is best for one kind, arm 2 for the other."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, n)
    dense = np.zeros((3 * n, 2), np.float32)
    dense[:, 0] = np.repeat(kind, 3)
    features = PairFeatures(
        dense=dense,
        item=np.tile(np.arange(3), n),
        row=np.repeat(np.arange(n), 3),
        item_vectors=np.eye(3, dtype=np.float32),
        user_vectors=np.ones((n, 3), np.float32),
    )
    truth = np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9]])[kind]
    return features, truth, rng.integers(0, 3, n)


def test_training_raises_the_value_on_a_known_bandit_from_outcomes_alone(
    fit_log: BanditLog,
) -> None:
    """Expected values are 0: all that is learned comes through the weighted residual."""
    n = 600
    features, truth, action = bandit(n)
    log = replace(
        fit_log.take(np.arange(n)),
        action=action,
        propensity=np.full(n, 1 / 3),
        candidate_propensity=np.full(3 * n, 1 / 3),
    )
    candidates = replace(
        log.decisions.candidates, offsets=np.arange(n + 1) * 3, values=np.zeros(3 * n, np.int32)
    )
    log = replace(log, decisions=replace(log.decisions, candidates=candidates))
    rewards = np.random.default_rng(1).random(n) < truth[np.arange(n), action]
    inputs = LearningInputs(features, np.zeros(3 * n), rewards - rewards.mean())
    settings = LearningSettings(epochs=12, batch_size=32, learning_rate=1e-2, dropout=0.0)
    network = make_score_network(features, settings, seed=0, gain=1.0)
    before = {k: v.clone() for k, v in network.state_dict().items()}

    def value() -> float:
        sets = CandidateSets(features, log.decisions.offsets)
        with torch.no_grad():
            scores = sets.scores(network, *sets.places(torch.arange(n)))
        p = 0.9 * torch.softmax(scores, 1).numpy() + 0.1 / 3
        return float((p * truth).sum(axis=1).mean())

    network.eval()
    start = value()
    PolicyGradient().train(network, LoggedFeedback(log, inputs), settings, seed=0)
    # Two kinds, half a user each: uniform has .5, the best policy with this floor .86.
    assert start == pytest.approx(0.5, abs=0.02)
    assert value() > 0.78
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    parameters = {k for k, _ in network.named_parameters()}
    # The dense column of expected values is all 0 here, so its gain has nothing to learn.
    assert changed == parameters - {"gain"} or changed == parameters


def test_a_high_price_on_divergence_keeps_the_logger(fit_log: BanditLog) -> None:
    n = 300
    log = fit_log.take(np.arange(n))
    k = 6 * n
    rng = np.random.default_rng(0)
    features = PairFeatures(
        dense=rng.normal(size=(k, 3)).astype(np.float32),
        item=np.arange(k) % 6,
        row=np.repeat(np.arange(n), 6),
        item_vectors=np.eye(6, dtype=np.float32),
        user_vectors=np.zeros((n, 6), np.float32),
    )
    inputs = LearningInputs(features, features.dense[:, -1].astype(float), np.zeros(n))
    uniform = replace(log, candidate_propensity=np.full(k, 1 / 6))
    spread = []
    for price in (0.0, 100.0):
        settings = LearningSettings(
            epochs=10, batch_size=32, divergence=price, dropout=0.0, learning_rate=1e-2
        )
        network = make_score_network(features, settings, seed=0, gain=1.0)
        PolicyGradient().train(network, LoggedFeedback(uniform, inputs), settings, seed=0)
        sets = CandidateSets(features, log.decisions.offsets)
        with torch.no_grad():
            scores = sets.scores(network, *sets.places(torch.arange(n)))
        spread.append(float(torch.softmax(scores, 1).max(1).values.mean()))
    assert spread[0] > 0.6
    assert spread[1] < 0.25


def test_rows_without_all_propensities_count_as_uniform(fit_log: BanditLog) -> None:
    log = fit_log.take(np.arange(3))
    p = log.candidate_propensity.copy()
    p[7] = np.nan
    got = np.exp(logging_log_probabilities(replace(log, candidate_propensity=p)))
    np.testing.assert_allclose(got[6:12], 1 / 6)
    np.testing.assert_allclose(got[:6], p[:6])
