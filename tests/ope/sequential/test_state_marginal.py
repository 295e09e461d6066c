from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from mrlm.ope import EvaluationState, Properties, estimates
from mrlm.ope.grouped.log_weights import weight_of
from mrlm.ope.sequential import PerDecisionIS, SequentialEstimator, fit_state_marginal


def states_of(batch):
    return np.diff(batch.step_offsets) - 2


def random_states(batch, count=3):
    return np.random.default_rng(5).integers(0, count, len(batch.log_ratio))


@pytest.mark.parametrize("discount", [1.0, 0.7])
@pytest.mark.parametrize("history", [False, True])
def test_exact_on_the_population_where_the_state_is_enough(discount, history, make_population):
    batch, real = make_population(discount, history=history)
    fitted = fit_state_marginal(batch, states_of(batch), discount)
    assert isinstance(fitted, SequentialEstimator)
    error = abs(fitted(batch).value[0] - real)
    assert (error > 1e-3) if history else (error < 1e-10)


def plug_in(batch, states, fitted):
    """The estimate of the paper: mean of w_t rho_t d^t r_t."""
    w = fitted.ratio[0][batch.step, states]
    rho = weight_of(batch.log_ratio)
    worth = fitted.discount**batch.step * batch.rewards[:, 0]
    return (w * rho * worth).sum() / len(batch)


def test_its_mean_is_the_estimate_of_the_paper(make_sessions):
    batch = make_sessions(m=1, missing=0.0)
    states = random_states(batch)
    fitted = fit_state_marginal(batch, states, 0.9)
    assert fitted(batch).value[0] == pytest.approx(plug_in(batch, states, fitted), abs=1e-12)


def test_its_influence_holds_the_fit(make_sessions):
    """One more copy of a session, by a log of many copies: the refitted estimate moves along it."""
    batch = make_sessions(m=1, missing=0.0, n=12)
    states = random_states(batch)
    scores = fit_state_marginal(batch, states, 0.9)(batch)
    copies = 4000
    for i in range(4):
        index = np.concatenate([np.tile(np.arange(12), copies), [i]])
        more = batch.take(index)
        flat = np.concatenate(
            [
                np.arange(a, b)
                for a, b in zip(batch.offsets[index], batch.offsets[index + 1], strict=True)
            ]
        )
        moved = fit_state_marginal(more, states[flat], 0.9)
        slope = (moved(more).value[0] - scores.value[0]) * copies
        assert slope == pytest.approx(scores.influence[i, 0], rel=2e-3, abs=2e-4)


def test_declared_properties(make_sessions):
    """The tables are fitted anew to each log."""

    def value(batch):
        return fit_state_marginal(batch, random_states(batch), 0.8)(batch).value

    batch = make_sessions(missing=0.0, equal=True)
    p = fit_state_marginal(batch, random_states(batch)).properties
    same = make_sessions(missing=0.0, on_policy=True)
    mean = (0.8 ** same.step[:, None] * same.rewards).sum(0) / len(same)
    worth = 3 * (0.8 ** np.arange(6)).sum()
    constant = replace(batch, rewards=np.full_like(batch.rewards, 0.7))
    fitted = fit_state_marginal(constant, random_states(constant), 0.8)
    width = [e.upper - e.lower for e in estimates(EvaluationState.of(fitted(constant))).values()]
    assert p == Properties(
        unbiased=True,
        covers_policy_value=False,
        on_policy_identity=bool(np.allclose(value(same), mean, rtol=0, atol=1e-12)),
        shift_equivariant=bool(
            np.allclose(value(replace(batch, rewards=batch.rewards + 3)), value(batch) + worth)
        ),
        scale_equivariant=bool(
            np.allclose(value(replace(batch, rewards=batch.rewards * -2)), -2 * value(batch))
        ),
        constant_reward_zero_width=max(width) < 1e-11,
    )
    assert replace(fitted, assumed=True)(constant).covers_policy_value


def test_unbiased_in_logs_of_one_and_of_two_sessions(make_mdp):
    """By exact enumeration of all pairs of courses from one first state."""
    batch, chance, _ = make_mdp(1.0)
    first = np.flatnonzero(states_of(batch)[batch.offsets[:-1]] == 0)
    batch, chance = batch.take(first), 2 * chance[first]
    real = chance @ PerDecisionIS()(batch).numerator[:, 0, 0]
    one = two = 0.0
    for i in range(len(batch)):
        alone = batch.take(np.array([i]))
        one += chance[i] * fit_state_marginal(alone, states_of(alone))(alone).value[0]
        for j in range(i + 1):
            pair = batch.take(np.array([i, j]))
            found = fit_state_marginal(pair, states_of(pair))(pair).value[0]
            two += chance[i] * chance[j] * found * (1 if i == j else 2)
    assert one == pytest.approx(real, abs=1e-12)
    assert two == pytest.approx(real, abs=1e-12)
    assert fit_state_marginal(batch, states_of(batch)).properties.unbiased


def test_shards_give_the_same_once_fitted(make_sessions):
    batch = make_sessions(n=120, users=30)
    states = random_states(batch)
    fitted = fit_state_marginal(batch, states, 0.9)
    whole = estimates(EvaluationState.of(fitted(batch)))
    parts = []
    for part in np.array_split(np.random.default_rng(0).permutation(120), 5):
        flat = np.concatenate([np.arange(batch.offsets[i], batch.offsets[i + 1]) for i in part])
        parts.append(EvaluationState.of(replace(fitted, states=states[flat])(batch.take(part))))
    merged = estimates(reduce(EvaluationState.merge, parts))
    for name, e in whole.items():
        assert merged[name].value == pytest.approx(e.value, abs=1e-9)
        assert merged[name].standard_error == pytest.approx(e.standard_error, abs=1e-9)


def test_less_variance_than_per_decision_weights_on_long_sessions(make_sessions):
    batch = make_sessions(m=1, n=400, users=400, longest=30, missing=0.0, equal=True)
    marginal = fit_state_marginal(batch, np.zeros(len(batch.log_ratio), np.int64))
    one = estimates(EvaluationState.of(marginal(batch)))["o0"]
    two = estimates(EvaluationState.of(PerDecisionIS()(batch)))["o0"]
    assert one.standard_error < 0.6 * two.standard_error


def test_states_are_checked(make_sessions):
    batch = make_sessions()
    with pytest.raises(ValueError, match="one entry a step"):
        fit_state_marginal(batch, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="states must be in 0"):
        fit_state_marginal(batch, np.full(len(batch.log_ratio), -1))
