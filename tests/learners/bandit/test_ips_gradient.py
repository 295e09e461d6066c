from __future__ import annotations

import numpy as np
import pytest
import torch

from mrlm.learners.bandit.batch_policy import BatchPolicy
from mrlm.learners.bandit.gradient_learner import objective
from mrlm.learners.bandit.ips_gradient import importance_weighted_terms
from mrlm.learners.settings import LearningSettings
from tests.learners.bandit.tiny import (
    assert_gradient_is_exact,
    expected_gradient,
    gradient_of,
    numbers,
    policies,
    three_decisions,
)

SETTINGS = LearningSettings(floor=0.1, divergence=0.3, weight_clip=1.5, temperature=2.0)
TERMS = importance_weighted_terms(SETTINGS.weight_clip)


def test_the_objective_is_its_formula() -> None:
    scores, batch = three_decisions()
    given, total, weights = numbers(batch), 0.0, []
    for i, p in enumerate(policies(scores, SETTINGS)):
        a = given["action"][i]
        weights.append(p[a] / given["propensity"][i])
        divergence = p @ (np.log(p) - given["logger"][i, : len(p)])
        total += min(weights[-1], 1.5) * given["reward"][i] - 0.3 * divergence
    assert min(weights) < 1.5 < max(weights), "the clip binds somewhere"
    got = objective(BatchPolicy.of(scores, batch, SETTINGS), TERMS, SETTINGS)
    assert float(got.detach()) == pytest.approx(total / 3, rel=1e-6)


def test_the_gradient_is_exact_and_sums_to_zero_over_actions() -> None:
    assert_gradient_is_exact(*three_decisions(), TERMS, SETTINGS)


@pytest.mark.parametrize("seed", range(3))
def test_over_what_the_logger_may_show_the_gradient_is_that_of_the_true_value(seed: int) -> None:
    free = LearningSettings(floor=1e-12, weight_clip=1e6)
    terms = importance_weighted_terms(free.weight_clip)
    got, scores, truth = expected_gradient(terms, free, seed)
    wanted = gradient_of(lambda p: p @ torch.tensor(truth), scores)
    np.testing.assert_allclose(got, wanted, atol=1e-9)
