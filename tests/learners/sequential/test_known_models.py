"""Sequential learners on models whose optimum is known, and what each must never do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.learners._tabular_field import (
    DISCOUNT,
    World,
    counted,
    drawn,
    exact_experience,
    features_of,
    sample_of,
    scores_of,
)
from mrlm.bandit_log import BanditLog
from mrlm.bandit_log.ragged import segment_log_softmax
from mrlm.behaviour.ensemble.reward_model import RewardModel
from mrlm.behaviour.networks.network import evaluate
from mrlm.learners.inputs import LearningSample, learning_sample
from mrlm.learners.network import make_score_network
from mrlm.learners.registry import LEARNERS
from mrlm.learners.sequential.experience import experience_of
from mrlm.learners.sequential.implicit_q_learning import fit_implicit_q
from mrlm.learners.sequential.sequential_learner import SequentialLearner
from mrlm.learners.sequential.vector_network import make_vector_network
from mrlm.learners.sequential.vector_policy_iteration import evaluate_policy
from mrlm.learners.settings import LearningSettings
from mrlm.worlds.tabular import (
    TabularModel,
    garnet,
    greedy,
    normalised_regret,
    policy_evaluation,
    policy_iteration,
    start_value,
    tabular_log,
    uniform,
)

NAMES = sorted(n for n, k in LEARNERS.items() if isinstance(k, SequentialLearner))
SETTINGS = LearningSettings(
    epochs=12,
    batch_size=32,
    learning_rate=5e-3,
    weight_decay=0.0,
    dropout=0.0,
    discount=DISCOUNT,
    conservative=0.01,
    divergence=0.005,
    target_every=15,
    hidden=32,
    projection=16,
    implicit_q_learning={"expectile": 0.95, "temperature": 0.05},  # type: ignore[arg-type]
)


def fork() -> World:
    """Arm 0 pays .3 and ends the session; arm 1 pays nothing and leads to a state that pays 1.

    There only one of three actions pays, and which pays is a matter of the next decision's set.
    """
    model = TabularModel(
        offsets=np.array([0, 2, 5]),
        action=np.array([0, 1, 0, 1, 2]),
        transition=np.array([[0, 0], [0, 1.0], [0, 0], [0, 0], [0, 0]]),
        reward=np.array([[0.3], [0.0], [0.0], [1.0], [0.0]]),
        noise=np.array([0.1]),
        start=np.array([1.0, 0.0]),
    )
    return World(model, np.ones(1), np.array([0.5, 0.5, 0.3, 0.3, 0.4]))


def fork_scores(name: str, settings: LearningSettings) -> NDArray[np.float64]:
    """What a learner makes of 400 steps in the fork, shape (5,)."""
    world = fork()
    sample = sample_of(world, tabular_log(world.model, world.logger, users=1, rounds=400, seed=0))
    return scores_of(LEARNERS[name].learn(sample, settings, 0).network, world.model)[:, 0]


@pytest.mark.parametrize("name", NAMES)
def test_it_looks_ahead(name: str) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e-2, "target_every": 10})
    score = fork_scores(name, settings)
    assert LEARNERS[name].looks_ahead(settings)
    assert (int(score[:2].argmax()), int(score[2:].argmax())) == (1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_discount_it_does_not(name: str) -> None:
    more = {"learning_rate": 1e-2, "discount": 0.0, "epochs": 6}
    settings = SETTINGS.model_copy(update=more)
    score = fork_scores(name, settings)
    assert not LEARNERS[name].looks_ahead(settings)
    assert (int(score[:2].argmax()), int(score[2:].argmax())) == (0, 1)


@pytest.mark.long
@pytest.mark.statistics
@pytest.mark.parametrize("name", NAMES)
def test_regret_on_a_random_model(name: str) -> None:
    """5,000 transitions, fixed seeds: no error rate. The counted model loses less than .01."""
    world = drawn(0)
    log = world.log(users=10, seed=0)
    network = LEARNERS[name].learn(sample_of(world, log), SETTINGS, 1).network
    policy = greedy(world.model, scores_of(network, world.model)[:, 0])
    known = policy_iteration(counted(world, log), world.weights, DISCOUNT)[0]
    assert normalised_regret(world.model, known, world.weights, DISCOUNT) < 0.01
    assert normalised_regret(world.model, policy, world.weights, DISCOUNT) < 0.1


def with_promise(world: World, promised: float) -> LearningSample:
    """A log that never shows arm 1 of state 0, of which the reward model expects too much."""
    drawn_log = tabular_log(world.model, world.logger, users=1, rounds=300, seed=0)
    sample = sample_of(world, drawn_log)
    value = np.where(drawn_log.pair == 1, promised, 0.0)
    features = replace(
        sample.inputs.features, dense=np.column_stack([value, value]).astype(np.float32)
    )
    return replace(sample, inputs=replace(sample.inputs, features=features, value=value))


NEVER = World(fork().model, fork().weights, np.array([1.0, 0.0, 0.3, 0.3, 0.4]))
BELIEVERS = {"double_q_learning", "vector_policy_iteration"}


@pytest.mark.parametrize("name", [n for n in NAMES if n != "q_learning"])
def test_what_was_never_shown_is_not_preferred(name: str) -> None:
    """Learners that stay within the log do not believe what nobody tried, whatever is expected.

    The two that have nothing to hold them do: that shows that the model is a trap.
    """
    sample = with_promise(NEVER, 5.0)
    settings = SETTINGS.model_copy(update={"epochs": 6, "learning_rate": 1e-2})
    network = LEARNERS[name].learn(sample, settings, 0).network
    own = features_of(np.array([0, 1]), np.array([0, 2]), NEVER.model)
    own = replace(own, dense=np.array([[0, 0], [5, 5]], np.float32))
    p = np.exp(segment_log_softmax(evaluate(network, own, 1)[:, 0], np.array([0, 2])))
    assert (p[1] > 0.9) if name in BELIEVERS else (p[1] < SETTINGS.floor)


def test_conservative_values_of_what_was_not_shown_are_lower() -> None:
    sample = sample_of(NEVER, tabular_log(NEVER.model, NEVER.logger, users=1, rounds=300, seed=0))
    gap = []
    for conservative in (0.0, 0.2):
        settings = SETTINGS.model_copy(update={"conservative": conservative})
        network = LEARNERS["q_learning"].learn(sample, settings, 0).network
        network.rescale(settings.value_temperature)
        score = scores_of(network, NEVER.model)[:, 0]
        gap.append(score[0] - score[1])
    assert gap[1] > gap[0] + 0.5


@pytest.mark.parametrize("name", NAMES)
def test_learning_changes_every_weight(name: str, fit_log: BanditLog, model: RewardModel) -> None:
    """A gradient reaches all of the network, and the last layer is not all that moves."""
    settings = LearningSettings(hidden=8, projection=4, batch_size=64, epochs=1)
    sample = learning_sample(fit_log, model, {"like": 1.0}, settings, 7)
    learned = LEARNERS[name].learn(sample, settings, 7).network.state_dict()
    fresh = make_score_network(sample.inputs.features, settings, 7, gain=1.0).state_dict()
    assert set(learned) == set(fresh)
    same = {k for k in fresh if torch.equal(fresh[k], learned[k])}
    assert same == {"pair.centre", "pair.scale"}


def test_the_expectile_is_of_the_weighted_sum() -> None:
    """After arm 1 come two actions that pay one objective each, so the sum is .5 whatever is done.

    Expectiles of the objectives would say .9.
    """
    model = TabularModel(
        offsets=np.array([0, 2, 4]),
        action=np.array([0, 1, 0, 1]),
        transition=np.array([[0, 0], [0, 1.0], [0, 0], [0, 0]]),
        reward=np.array([[0.6, 0.6], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        noise=np.zeros(2),
        start=np.array([1.0, 0.0]),
    )
    world = World(model, np.array([0.5, 0.5]), np.full(4, 0.5))
    sample = sample_of(world, tabular_log(model, world.logger, users=1, rounds=300, seed=0))
    settings = SETTINGS.model_copy(update={"epochs": 40, "learning_rate": 1e-2})
    seen = experience_of(sample, settings, centred=False)
    q = scores_of(fit_implicit_q(seen, settings, 0), model)[:, 0]
    np.testing.assert_allclose(q, [0.6, 0.45, 0.5, 0.5], atol=0.05)


def evaluated(world: World, epochs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values by the network and the exact ones, shape (P, 2), of a small model."""
    seen, rewards, model = exact_experience(world.model, 8)
    more = {"epochs": epochs, "batch_size": 256, "learning_rate": 1e-2, "target_every": 10}
    settings = SETTINGS.model_copy(update=more)
    network = make_vector_network(seen.features, 2, settings, seed=0, gain=1.0)
    policy = world.logger[seen.features.item]
    evaluate_policy(network, policy, rewards, seen, settings, seed=0)
    return scores_of(network, world.model, 2), policy_evaluation(model, world.logger, DISCOUNT)


def test_vector_evaluation_is_exact_where_chances_are() -> None:
    model = garnet(2, states=4, actions=3, branches=2, objectives=2, ending=0.5)
    found, truth = evaluated(World(model, np.array([0.5, 0.5]), uniform(model)), 600)
    assert np.sqrt(np.mean((found - truth) ** 2, axis=0)).max() < 0.02
    assert truth.std(0).min() > 0.5


def test_more_weight_never_lowers_an_objective() -> None:
    """Policies exp(weights · q / temperature): the slope of E[q_j] in its weight is a variance."""
    world = drawn(2)
    q = policy_evaluation(world.model, world.logger, DISCOUNT)

    def expected(weights: NDArray[np.float64], j: int) -> NDArray[np.float64]:
        p = np.exp(segment_log_softmax(q @ weights / 0.5, world.model.offsets))
        return np.add.reduceat(p * q[:, j], world.model.offsets[:-1])

    for j in range(4):
        more = world.weights + 0.1 * np.eye(4)[j]
        assert (expected(more, j) >= expected(world.weights, j)).all()
    best, _ = policy_iteration(world.model, world.weights, DISCOUNT)
    assert start_value(world.model, best, DISCOUNT) @ world.weights > 0
