from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrlm.ope import EvaluationState, estimates
from mrlm.ope.sequential import (
    PerDecisionIS,
    SequentialDR,
    SessionBatch,
    TrajectoryIS,
    cross_fitted_q,
    fit_state_marginal,
)

LOGGER, TARGET = np.array([[0.6, 0.4], [0.4, 0.6]]), np.array([[0.45, 0.55], [0.6, 0.4]])
RATE = np.array([[0.1, 0.3], [0.5, 0.2]])
STAY = np.array([[0.8, 0.3], [0.6, 0.5]])
SESSIONS, LONGEST, END, DISCOUNT = 800, 5, 0.15, 0.9


def truth():
    """Value from state 0 by backward induction."""
    value = np.zeros(2)
    for _ in range(LONGEST):
        later = np.array([[STAY[s] * value[s] + (1 - STAY[s]) * value[1 - s]] for s in (0, 1)])
        value = (TARGET * (RATE + DISCOUNT * (1 - END) * later[:, 0])).sum(1)
    return value[0]


def log(seed):
    """Sessions of a chain of two states that end by chance or after some steps; and the states."""
    g = np.random.default_rng(seed)
    alive, state = np.ones(SESSIONS, bool), np.zeros(SESSIONS, int)
    seen, states, actions, rewards = [], [], [], []
    for _ in range(LONGEST):
        action = (g.random(SESSIONS) > LOGGER[state, 0]).astype(int)
        seen.append(alive.copy())
        states.append(state)
        actions.append(action)
        rewards.append((g.random(SESSIONS) < RATE[state, action]).astype(float))
        moves = g.random(SESSIONS) > STAY[state, action]
        state = np.where(moves, 1 - state, state)
        alive = alive & (g.random(SESSIONS) > END)
    kept = np.array(seen).T
    s, a = np.array(states).T[kept], np.array(actions).T[kept]
    steps = len(s)
    batch = SessionBatch(
        cluster=np.arange(SESSIONS),
        offsets=np.concatenate([[0], np.cumsum(kept.sum(1))]),
        log_propensity=np.log(LOGGER[s, a]),
        log_target=np.log(TARGET[s, a]),
        rewards=np.array(rewards).T[kept][:, None],
        objectives=("click",),
        step_offsets=np.arange(steps + 1) * 2,
        shown=np.arange(steps) * 2 + a,
        target=TARGET[s].ravel(),
    )
    features = np.zeros((2 * steps, 4))
    features[np.arange(2 * steps), np.repeat(2 * s, 2) + np.tile([0, 1], steps)] = 1.0
    return batch, s, features


@pytest.mark.statistics
def test_certified_intervals_cover():
    """95 % intervals of 500 logs, each estimator outside 91.5 to 98 % with chance below 2e-3.

    The self-normalised forms with ratios shared by the later steps are among them, and the
    state-marginal weights, whose interval holds the error of the fitted tables.
    """
    real, logs = truth(), 500
    cases = {
        "trajectory_is": TrajectoryIS(DISCOUNT),
        "sn_trajectory_is": TrajectoryIS(DISCOUNT, self_normalised=True),
        "per_decision_is": PerDecisionIS(DISCOUNT),
        "sn_per_decision_is": PerDecisionIS(DISCOUNT, self_normalised=True),
        "shared ratios": PerDecisionIS(DISCOUNT, self_normalised=True, terms=2),
        "sequential_dr": SequentialDR(DISCOUNT),
        "sn_sequential_dr": SequentialDR(DISCOUNT, self_normalised=True, terms=3),
    }
    covered = dict.fromkeys([*cases, "state_marginal_is"], 0)
    widths = dict.fromkeys(covered, 0.0)
    for seed in range(logs):
        batch, states, features = log(seed)
        batch = replace(batch, q=cross_fitted_q(batch, features, DISCOUNT))
        found = dict(cases)
        found["state_marginal_is"] = fit_state_marginal(batch, states, DISCOUNT, assumed=True)
        for name, estimator in found.items():
            e = estimates(EvaluationState.of(estimator(batch)))["click"]
            assert e.certified or name == "state_marginal_is", (name, e.certificate.reason)
            covered[name] += e.lower <= real <= e.upper
            widths[name] += e.upper - e.lower
    for name, count in covered.items():
        assert 0.915 <= count / logs <= 0.98, (name, count / logs)
    assert widths["sequential_dr"] < widths["per_decision_is"] < widths["trajectory_is"]
    assert widths["state_marginal_is"] < widths["per_decision_is"]
