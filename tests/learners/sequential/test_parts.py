"""The parts that sequential learners are made of, each against a closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.learners._tabular_field import World, drawn, sample_of, scores_of
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import segment_log_softmax, segment_sum
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.inputs import learning_sample, logged_rewards
from mrlm.learners.network import make_score_network
from mrlm.learners.sequential.batch_constrained_q_learning import supported
from mrlm.learners.sequential.clipped_policy_optimisation import clipped_gain, divergence
from mrlm.learners.sequential.distilled_policy import distil
from mrlm.learners.sequential.estimated_logger import logger_log_probabilities
from mrlm.learners.sequential.experience import experience_of
from mrlm.learners.sequential.implicit_q_learning import expectile_loss
from mrlm.learners.sequential.phases import phase
from mrlm.learners.sequential.vector_network import make_vector_network
from mrlm.learners.settings import LearningSettings
from tests.learners.sequential.table import table_experience

SMALL = LearningSettings(
    epochs=12, batch_size=64, learning_rate=1e-2, weight_decay=0, dropout=0, hidden=16, projection=8
)


@pytest.fixture(scope="module")
def known() -> World:
    return drawn(0)


def expectile(values: list[float], share: float) -> float:
    """Where the loss of a constant is least, by bisection of its gradient."""
    drawn_values, low, high = torch.tensor(values), min(values), max(values)
    for _ in range(60):
        middle = torch.tensor((low + high) / 2, requires_grad=True)
        expectile_loss(drawn_values - middle, share).backward()
        assert middle.grad is not None
        at = float(middle.detach())
        low, high = (low, at) if middle.grad > 0 else (at, high)
    return low


def test_expectiles_by_hand() -> None:
    assert expectile([0.0, 1.0], 0.5) == pytest.approx(0.5, abs=1e-6)
    # .9 (1 - v) = .1 v.
    assert expectile([0.0, 1.0], 0.9) == pytest.approx(0.9, abs=1e-6)


def test_expectiles_of_objectives_do_not_add_up() -> None:
    """Two objectives that pay in turn: their sum never varies, their expectiles say 1.8."""
    first, second = [0.0, 1.0], [1.0, 0.0]
    both = [a + b for a, b in zip(first, second, strict=True)]
    assert expectile(both, 0.9) == pytest.approx(1.0, abs=1e-6)
    assert expectile(first, 0.9) + expectile(second, 0.9) == pytest.approx(1.8, abs=1e-5)


def test_a_ratio_beyond_the_clip_is_not_rewarded_further() -> None:
    before, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])

    def gain(first: float) -> float:
        return float(clipped_gain(torch.tensor([[first, 1 - first]]), before, q, 0.2))

    assert gain(0.5) == pytest.approx(0.0)
    # Advantages are .5 and -.5: .5 (ratio .5) - .5 (.5 (2 - ratio)) = .5 (ratio - 1).
    assert gain(0.55) == pytest.approx(0.05)
    assert gain(0.6) == pytest.approx(0.1)
    assert gain(0.9) == pytest.approx(0.1), "beyond 1 + clip nothing is won"
    assert gain(0.2) == pytest.approx(-0.3), "and what is lost is lost"


def test_the_gradient_moves_probability_and_never_all_logits() -> None:
    """A constant on all logits changes no policy, so the gradient sums to 0 over the actions."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(5, 4, generator=generator).requires_grad_()
    before = torch.softmax(torch.randn(5, 4, generator=generator), 1)
    q = torch.randn(5, 4, generator=generator)
    now = torch.softmax(scores, 1)
    (clipped_gain(now, before, q, 0.5) - divergence(now, before.log())).sum().backward()
    assert scores.grad is not None
    assert scores.grad.abs().sum() > 0.1
    np.testing.assert_allclose(scores.grad.sum(1).numpy(), 0.0, atol=1e-6)


def test_divergence_is_kullback_and_leiblers_and_finite() -> None:
    policy = torch.tensor([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]])
    logger = torch.tensor([[0.5, 0.5, -torch.inf], [0.0, -torch.inf, -torch.inf]])
    logger[0, :2] = torch.log(torch.tensor([0.5, 0.5]))
    wanted = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)
    assert divergence(policy, logger).tolist() == pytest.approx([wanted, 0.0], abs=1e-6)
    never = divergence(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, -torch.inf]]))
    assert float(never) == pytest.approx(np.log(0.5) + 7.0, rel=1e-5)


def test_what_the_logger_takes_seldom_is_not_supported() -> None:
    offsets = np.array([0, 3, 5])
    with np.errstate(divide="ignore"):
        logger = np.log(np.array([0.8, 0.17, 0.03, 1.0, 0.0]))
    assert supported(logger, offsets, 0.1).tolist() == [True, True, False, True, False]
    assert supported(logger, offsets, 0.0).tolist() == [True, True, True, True, False]
    assert supported(np.log(np.full(5, 0.25)), offsets, 0.99).all()


def test_logged_propensities_are_taken_as_they_are() -> None:
    world = drawn(1)
    model = replace(world.model)
    log = world.log(users=1, seed=0).log
    seen = experience_of(sample_of(world, world.log(users=1, seed=0)), SMALL, centred=False)
    found = logger_log_probabilities(log, seen, SMALL, 0)
    np.testing.assert_allclose(np.exp(found), log.candidate_propensity)
    assert len(model.action) < len(found)
    p = log.candidate_propensity.copy()
    first = slice(*log.decisions.offsets[:2])
    p[first] = np.eye(len(p[first]))[0]
    never = logger_log_probabilities(replace(log, candidate_propensity=p), seen, SMALL, 0)
    assert np.isneginf(never[first][1:]).all()


def test_propensities_that_were_not_logged_are_estimated(known: World) -> None:
    drawn_log = known.log(users=8, seed=0)
    seen = experience_of(sample_of(known, drawn_log), SMALL, centred=False)
    p = drawn_log.log.candidate_propensity.copy()
    offsets = drawn_log.log.decisions.offsets
    half = int(offsets[2000])
    p[half:] = np.nan
    log = replace(drawn_log.log, candidate_propensity=p)
    found = np.exp(logger_log_probabilities(log, seen, SMALL, 0))
    np.testing.assert_allclose(found[:half], p[:half])
    np.testing.assert_allclose(segment_sum(found, offsets), 1.0)
    true = known.logger[drawn_log.pair]
    # About 300 rows a state; uniform would be off by .12.
    assert np.sqrt(np.mean((found[half:] - true[half:]) ** 2)) < 0.05
    assert np.sqrt(np.mean((true - 1 / np.repeat(np.diff(offsets), np.diff(offsets))) ** 2)) > 0.08


def test_a_policy_is_distilled(known: World) -> None:
    sample = sample_of(known, known.log(users=4, seed=0))
    seen = experience_of(sample, SMALL, centred=False)
    network = make_score_network(seen.features, SMALL, seed=0, gain=0.0)
    model = known.model
    wanted = segment_log_softmax(2.0 * model.reward[:, 0], model.offsets)
    distil(network, wanted[seen.features.item], seen, SMALL, seed=0)
    scores = scores_of(network, model)[:, 0]
    found = np.exp(segment_log_softmax(scores, model.offsets))
    np.testing.assert_allclose(found, np.exp(wanted), atol=0.05)


def test_the_weighted_sum_of_a_vector_network_is_a_score_network(known: World) -> None:
    sample = sample_of(known, known.log(users=1, seed=0))
    features, weight = sample.inputs.features, np.array([0.4, -0.3, 0.2, 0.1])
    rng = np.random.default_rng(0)
    expected = rng.normal(size=(len(features.dense), 4))
    features = replace(
        features, dense=np.column_stack([expected, expected @ weight]).astype(np.float32)
    )
    network = make_vector_network(features, 4, SMALL, seed=0, gain=1.5)
    start = evaluate(network, features, 4)
    np.testing.assert_allclose(start, 1.5 * expected, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        network.pair.head.weight.normal_(generator=torch.Generator().manual_seed(0))
        network.pair.head.bias.normal_(generator=torch.Generator().manual_seed(1))
    outputs = evaluate(network, features, 4)
    scalar = evaluate(network.weighted(weight), features, 1)
    np.testing.assert_allclose(scalar[:, 0], outputs @ weight, atol=1e-5)
    np.testing.assert_array_equal(evaluate(network, features, 4), outputs)


def test_rewards_are_in_their_own_scale_and_unknown_ones_expected(
    fit_log: BanditLog, model: RewardModel
) -> None:
    rewards = fit_log.rewards.copy()
    rewards[::3, 0] = np.nan
    log = replace(fit_log, rewards=rewards)
    sample = learning_sample(log, model, {"like": 0.5, "rating": 0.5}, SMALL, 0)
    of = sample.scalarisation
    wanted = (log.rewards / of.scale) @ of.weight
    seen = experience_of(sample, SMALL, centred=False)
    known = np.isfinite(rewards).all(1)
    assert 0.6 < known.mean() < 0.7
    np.testing.assert_allclose(seen.reward.numpy()[known], wanted[known], rtol=1e-4)
    centred = experience_of(sample, SMALL, centred=True).reward.numpy()
    np.testing.assert_allclose(
        seen.reward.numpy() - centred, of.weight @ (of.mean / of.scale), rtol=1e-4
    )
    vector = logged_rewards(sample) + of.mean / of.scale
    np.testing.assert_allclose(vector @ of.weight, seen.reward.numpy(), rtol=1e-4, atol=1e-5)
    expected = sample.inputs.value[log.shown]
    half = logged_rewards(sample)[~known, 1] * of.weight[1]
    np.testing.assert_allclose(
        centred[~known], expected[~known] + sample.inputs.residual[~known], rtol=1e-4, atol=1e-5
    )
    assert np.isfinite(half).all()


def test_phases_are_told_as_epochs_of_the_whole() -> None:
    told: list[tuple[int, int, float]] = []
    for number in range(2):
        inner = phase(lambda *epoch: told.append(epoch), number, 2)
        assert inner is not None
        for done in range(1, 4):
            inner(done, 3, 10.0 * number + done)
    assert told == [(1, 3, 2.0), (2, 3, 11.0), (3, 3, 13.0)]
    assert phase(None, 0, 2) is None


def test_shown_items_are_where_the_log_says() -> None:
    seen = table_experience([2, 3, 1], [1, 2, 0], [0.0] * 3, [-1] * 3)
    place, mask = seen.shown(torch.tensor([2, 0, 1]))
    assert place.tolist() == [[5], [1], [4]]
    assert mask.all()
