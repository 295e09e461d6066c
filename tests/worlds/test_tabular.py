"""Dynamic programming against closed forms and against simulation, on ragged vector models."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log.ragged import segment_sum
from mrlm.worlds.tabular import (
    TabularModel,
    chain,
    garnet,
    greedy,
    grid,
    normalised_regret,
    policy_evaluation,
    policy_iteration,
    satisfaction,
    start_value,
    state_values,
    tabular_log,
    uniform,
    value_iteration,
)

MODELS = {"chain": chain(), "grid": grid(), "garnet": garnet(3)}
WEIGHTS = {"chain": [1.0], "grid": [0.9, 0.1], "garnet": [0.4, 0.3, 0.2, 0.1]}


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def two_states() -> TabularModel:
    """State 0 stays for 0 or goes on for 1; state 1 has one action, which pays 2 and ends."""
    return TabularModel(
        offsets=np.array([0, 2, 3]),
        action=np.array([0, 1, 0]),
        transition=np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),
        reward=np.array([[0.0], [1.0], [2.0]]),
        noise=np.zeros(1),
        start=np.array([1.0, 0.0]),
    )


def test_evaluation_by_hand() -> None:
    model = two_states()
    q = policy_evaluation(model, uniform(model), 0.5)
    # v0 = (.5 v0 + 1 + .5 * 2) / 2, so 2 v0 = .5 v0 + 2.
    np.testing.assert_allclose(q[:, 0], [2 / 3, 2.0, 2.0], rtol=1e-12)
    assert start_value(model, uniform(model), 0.5)[0] == pytest.approx(4 / 3)
    # At discount 1 the session ends surely: staying delays and costs nothing.
    np.testing.assert_allclose(policy_evaluation(model, uniform(model), 1.0)[:, 0], [3.0, 3.0, 2.0])


def test_a_session_that_never_ends_has_no_undiscounted_value() -> None:
    model = two_states()
    with pytest.raises(ValueError, match="must end"):
        policy_evaluation(model, np.array([1.0, 0.0, 1.0]), 1.0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        policy_evaluation(model, uniform(model), 1.5)
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        value_iteration(model, np.ones(1), 1.0)


def test_evaluation_is_linear_in_the_rewards(name: str) -> None:
    model, weights = MODELS[name], np.array(WEIGHTS[name])
    q = policy_evaluation(model, uniform(model), 0.9)
    scalar = replace(model, reward=(model.reward @ weights)[:, None], noise=np.zeros(1))
    np.testing.assert_allclose(
        q @ weights, policy_evaluation(scalar, uniform(model), 0.9)[:, 0], rtol=1e-10, atol=1e-12
    )


def test_evaluation_solves_the_bellman_equation(name: str) -> None:
    model = MODELS[name]
    q = policy_evaluation(model, uniform(model), 0.9)
    v = state_values(model, uniform(model), q)
    np.testing.assert_allclose(q, model.reward + 0.9 * model.transition @ v, atol=1e-10)


def test_both_iterations_find_the_optimum(name: str) -> None:
    model, weights = MODELS[name], np.array(WEIGHTS[name])
    policy, q = policy_iteration(model, weights, 0.9)
    best = value_iteration(model, weights, 0.9)
    np.testing.assert_allclose(q @ weights, best, atol=1e-8)
    np.testing.assert_array_equal(greedy(model, np.round(best, 7)), policy)
    assert normalised_regret(model, policy, weights, 0.9) == 0.0
    assert normalised_regret(model, uniform(model), weights, 0.9) == 1.0


def test_the_optimum_is_the_best_of_all_deterministic_policies() -> None:
    model = garnet(0, states=4, actions=3, branches=2, objectives=2)
    weights = np.array([0.7, 0.3])
    found = []
    for chosen in itertools.product(*(range(k) for k in np.diff(model.offsets))):
        policy = np.zeros(len(model.action))
        policy[model.offsets[:-1] + np.array(chosen)] = 1.0
        found.append(start_value(model, policy, 0.9) @ weights)
    best = start_value(model, policy_iteration(model, weights, 0.9)[0], 0.9) @ weights
    assert best == pytest.approx(max(found), rel=1e-12)


def test_one_improvement_is_never_worse_and_iterated_ones_arrive() -> None:
    """Reference: policy improvement theorem; 20 random models."""
    for seed in range(20):
        model, weights = garnet(seed), np.full(4, 0.25)
        policy, values = uniform(model), []
        for _ in range(10):
            values.append(start_value(model, policy, 0.9) @ weights)
            policy = greedy(model, policy_evaluation(model, policy, 0.9) @ weights)
        assert (np.diff(values) >= -1e-10).all()
        assert values[-1] == pytest.approx(
            start_value(model, policy_iteration(model, weights, 0.9)[0], 0.9) @ weights
        )


def test_optimal_values_of_objectives_do_not_add_up() -> None:
    """The hub: whichever way one goes, one objective pays; the sum of optima counts both."""
    model = TabularModel(
        offsets=np.array([0, 3]),
        action=np.arange(3),
        transition=np.zeros((3, 1)),
        reward=np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.6]]),
        noise=np.zeros(2),
        start=np.ones(1),
    )
    weights = np.array([0.5, 0.5])
    alone = [value_iteration(model, w, 0.9).max() for w in np.eye(2)]
    _, q = policy_iteration(model, weights, 0.9)
    assert weights @ alone == 1.0
    assert (q @ weights).max() == 0.6
    # And what evaluation sums is exact.
    np.testing.assert_allclose(q @ weights, value_iteration(model, weights, 0.9))


def test_the_articles_toy_reward_pays_for_one_pair_alone() -> None:
    """State (1, 2, 3), action (1, 0, 0), reward 1 where entries agree: 1 at the first, else 0."""
    state, action = np.array([1, 2, 3]), np.array([1, 0, 0])
    pays = (state == action).astype(float)
    model = TabularModel(
        offsets=np.array([0, 1, 2, 3]),
        action=np.zeros(3, np.int64),
        transition=np.eye(3, k=1),
        reward=pays[:, None],
        noise=np.zeros(1),
        start=np.array([1.0, 0.0, 0.0]),
    )
    q = policy_evaluation(model, uniform(model), 0.9)
    assert q[:, 0].tolist() == [1.0, 0.0, 0.0]


def test_bait_is_worse_than_chance_only_where_it_wears_users_out() -> None:
    regret = []
    for effect in (True, False):
        model = satisfaction(effect)
        bait = greedy(model, model.reward[:, 0])
        regret.append(normalised_regret(model, bait, np.ones(1), 0.9))
        np.testing.assert_allclose(model.transition.sum(1), 0.95)
        assert len(set(np.diff(model.offsets))) > 1
    assert regret[0] > 1.5
    assert regret[1] == pytest.approx(0.0, abs=1e-12)


def test_ties_go_to_the_first_action() -> None:
    model = two_states()
    assert greedy(model, np.array([1.0, 1.0, 5.0])).tolist() == [1.0, 0.0, 1.0]


def test_where_nothing_is_to_be_gained_regret_is_refused() -> None:
    model = two_states()
    flat = replace(model, reward=np.zeros((3, 1)))
    with pytest.raises(ValueError, match="uniform"):
        normalised_regret(flat, uniform(flat), np.ones(1), 0.9)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"offsets": np.array([0, 3, 3])}, "none empty"),
        ({"reward": np.zeros((2, 1))}, "shape"),
        ({"transition": np.full((3, 2), 0.6)}, "sums to more than 1"),
        ({"start": np.array([0.5, 0.4])}, "sum to 1"),
    ],
)
def test_impossible_models_are_refused(fields: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(two_states(), **fields)


def test_models_are_what_they_say(name: str) -> None:
    model = MODELS[name]
    assert len(set(np.diff(model.offsets))) > 1, "sets are ragged"
    if name == "grid":
        # Only the goal ends a session, and reaching it is the first objective.
        np.testing.assert_allclose(1 - model.transition.sum(1), model.reward[:, 0], atol=1e-12)
    if name == "chain":
        np.testing.assert_allclose(model.transition.sum(1), 1.0)


@pytest.mark.statistics
def test_the_log_is_drawn_from_the_model_and_the_policy(name: str) -> None:
    """Frequencies of 40,000 rows; five standard errors, 60 of them: error rate below 1e-4."""
    model = MODELS[name]
    rng = np.random.default_rng(5)
    raw = np.exp(rng.normal(size=len(model.action)))
    policy = raw / segment_sum(raw, model.offsets)[model.state]
    drawn = tabular_log(model, policy, users=80, rounds=500, seed=1)
    log, pair = drawn.log, drawn.pair
    shown = pair[log.shown]
    states = model.state[shown]
    np.testing.assert_array_equal(model.action[pair], log.decisions.candidates.values)
    np.testing.assert_allclose(log.candidate_propensity, policy[pair])
    np.testing.assert_allclose(log.propensity, policy[shown])
    assert log.decisions.scene[7] == f"s{states[7]}"
    for p in rng.permutation(len(policy))[:12]:
        here = states == model.state[p]
        error = np.sqrt(policy[p] * (1 - policy[p]) / here.sum())
        assert abs((shown[here] == p).mean() - policy[p]) < 5 * error + 1e-12
        mine = log.rewards[shown == p]
        error = model.noise / np.sqrt(len(mine))
        assert (np.abs(mine.mean(0) - model.reward[p]) < 5 * error + 1e-12).all()
    # What follows a row is the same user's row of the next round, unless the session ended.
    going = log.session_step[80:] > 0
    assert (log.session[80:][going] == log.session[:-80][going]).all()
    after = np.zeros((len(policy), len(model.start)))
    np.add.at(after, (shown[:-80][going], states[80:][going]), 1)
    count = np.bincount(shown[:-80], minlength=len(policy))
    share = after / np.maximum(count, 1)[:, None]
    p = int(count.argmax())
    error = np.sqrt(model.transition[p] * (1 - model.transition[p]) / count[p])
    assert (np.abs(share[p] - model.transition[p]) < 5 * error + 1e-12).all()


def test_a_log_is_the_same_for_a_seed_and_another_for_another() -> None:
    logs = [tabular_log(grid(), uniform(grid()), users=5, rounds=20, seed=s).log for s in (1, 1, 2)]
    assert (logs[0].rewards == logs[1].rewards).all()
    assert not (logs[0].rewards == logs[2].rewards).all()
