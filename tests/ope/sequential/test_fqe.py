from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.bandit_log.ragged import rows
from mrlm.ope import EvaluationState, estimates
from mrlm.ope.sequential import FQE, SequentialDR, SessionBatch, cross_fitted_q, fit_q


def one_hot(batch):
    """A feature for every step, state and action of the small world."""
    step = rows(batch.step_offsets)
    state = np.diff(batch.step_offsets)[step] - 2
    action = np.arange(len(step)) - batch.step_offsets[:-1][step]
    out = np.zeros((len(step), 18))
    out[np.arange(len(step)), batch.step[step] * 6 + state * 3 + action] = 1.0
    return out


@pytest.mark.parametrize("discount", [1.0, 0.7])
def test_exact_with_tables_on_the_population(discount, make_population):
    batch, real = make_population(discount)
    x = one_hot(batch)
    fitted = replace(batch, q=x @ fit_q(batch, x, discount, ridge=0.0))
    assert FQE(discount)(fitted).value[0] == pytest.approx(real, abs=1e-9)
    assert FQE.properties.unbiased
    # The residuals of the true q weigh nothing on the population.
    assert SequentialDR(discount)(fitted).value[0] == pytest.approx(real, abs=1e-9)


def chain(terminal, n=40, length=5):
    """One state, two actions that both pay 1, for ever; the log stops after some steps."""
    steps = n * length
    return SessionBatch(
        cluster=np.arange(n),
        offsets=np.arange(n + 1) * length,
        log_propensity=np.full(steps, np.log(0.5)),
        log_target=np.log(np.where(np.arange(steps) % 2 == 0, 0.9, 0.1)),
        rewards=np.ones((steps, 1)),
        objectives=("r",),
        step_offsets=np.arange(steps + 1) * 2,
        shown=np.arange(steps) * 2 + np.arange(steps) % 2,
        target=np.tile([0.9, 0.1], steps),
        terminal=np.full(n, terminal),
    )


def test_a_stop_of_the_log_is_not_an_end():
    features = np.ones((400, 1))
    truncated = fit_q(chain(False), features, discount=0.9, ridge=0.0)
    ended = fit_q(chain(True), features, discount=0.9, ridge=0.0)
    assert truncated[0, 0] == pytest.approx(10.0, abs=1e-7)
    # Four steps of five go on: q = 1 + .9 * (4 / 5) q.
    assert ended[0, 0] == pytest.approx(1 / (1 - 0.9 * 0.8), abs=1e-7)


def test_divergence_is_an_error():
    with pytest.raises(ValueError, match="did not converge in 50 sweeps"):
        fit_q(chain(False), np.ones((400, 1)), discount=1.0, ridge=0.0, sweeps=50)


def test_ridge_shrinks():
    features = np.ones((400, 1))
    strong = fit_q(chain(False), features, discount=0.9, ridge=200.0)
    assert 0 < strong[0, 0] < 10 / 2


def test_predictions_do_not_use_the_users_own_rewards(make_sessions):
    batch = make_sessions(n=60, users=10, missing=0.0)
    g = np.random.default_rng(0)
    x = g.normal(size=(len(batch.q), 4))
    before = cross_fitted_q(batch, x, discount=0.5, folds=5)
    mine = batch.cluster == "u3"
    rewards = batch.rewards.copy()
    rewards[mine[rows(batch.offsets)]] += 100.0
    after = cross_fitted_q(replace(batch, rewards=rewards), x, discount=0.5, folds=5)
    candidate = mine[rows(batch.offsets)][rows(batch.step_offsets)]
    assert np.array_equal(before[candidate], after[candidate])
    assert np.abs(before - after).max() > 1.0


def test_a_fitted_q_narrows_the_interval_of_dr(make_population):
    batch, _ = make_population(1.0)
    x = one_hot(batch)
    poor = estimates(EvaluationState.of(SequentialDR()(batch)))["r"]
    good = replace(batch, q=cross_fitted_q(batch, x, ridge=1e-3))
    better = estimates(EvaluationState.of(SequentialDR()(good)))["r"]
    assert better.standard_error < 0.8 * poor.standard_error


def test_what_is_missing_is_named(make_sessions):
    batch = make_sessions()
    with pytest.raises(ValueError, match="features must have"):
        fit_q(batch, np.ones((3, 2)))
    with pytest.raises(ValueError, match="needs step_offsets"):
        fit_q(replace(batch, step_offsets=None, shown=None, target=None, q=None), np.ones((3, 2)))
    with pytest.raises(ValueError, match="must not be negative"):
        fit_q(batch, np.ones((len(batch.q), 1)), ridge=-1.0)
    with pytest.raises(ValueError, match="folds"):
        cross_fitted_q(batch, np.ones((len(batch.q), 1)), folds=1)
