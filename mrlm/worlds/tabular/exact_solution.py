"""Exact dynamic programming: evaluation, improvement, policy iteration and value iteration.

A policy is float64 of shape (P,), a probability of each pair that sums to 1 within each state's
set; weights are float64 of shape (m,), one an objective. Source of all: Puterman, Markov decision
processes, 1994, chapter 6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import segment_max, segment_sum
from mrlm.worlds.tabular.tabular_model import TabularModel

Floats = NDArray[np.float64]
# Values closer than this are the same: an action is changed only for a better one, so that ties
# cannot go round in circles.
_TIE = 1e-10


def uniform(model: TabularModel) -> Floats:
    """The policy that takes each action of a set as often."""
    return 1.0 / np.diff(model.offsets)[model.state]


def state_values(model: TabularModel, policy: Floats, q: Floats) -> Floats:
    """Expectation of q, shape (P, m), under the policy in each state, float64, shape (S, m)."""
    return segment_sum(policy[:, None] * q, model.offsets)


def policy_evaluation(model: TabularModel, policy: Floats, discount: float) -> Floats:
    """Discounted sum of each objective after each pair, then by the policy, shape (P, m).

    The solution of v = P (r + discount T v): linear in the rewards, so a weighted sum of it is the
    value of the weighted sum.

    Raises:
        ValueError: the discount is not in [0, 1], or it is 1 and a session may never end.
    """
    if not 0 <= discount <= 1:
        raise ValueError(f"the discount must be in [0, 1]; got {discount}")
    step = segment_sum(policy[:, None] * model.transition, model.offsets)
    reward = segment_sum(policy[:, None] * model.reward, model.offsets)
    if discount == 1 and np.abs(np.linalg.eigvals(step)).max() > 1 - _TIE:
        raise ValueError("at discount 1 every session must end under the policy; here one may not")
    v = np.linalg.solve(np.eye(len(model.start)) - discount * step, reward)
    return np.asarray(model.reward + discount * model.transition @ v, np.float64)


def greedy(model: TabularModel, q: Floats) -> Floats:
    """The policy that takes the first action of the largest q, shape (P,), in each state."""
    best = q >= segment_max(q, model.offsets)[model.state]
    places = np.flatnonzero(best)
    _, first = np.unique(model.state[places], return_index=True)
    out = np.zeros(len(q))
    out[places[first]] = 1.0
    return out


def policy_iteration(
    model: TabularModel, weights: Floats, discount: float
) -> tuple[Floats, Floats]:
    """A policy that is optimal for the weighted sum, and its q vector.

    Returns:
        The policy, shape (P,), which takes one action in each state, and its ``policy_evaluation``.

    Raises:
        ValueError: see ``policy_evaluation``.
    """
    policy = greedy(model, model.reward @ weights)
    while True:
        q = policy_evaluation(model, policy, discount)
        scalar = q @ weights
        kept = segment_sum(policy * scalar, model.offsets)
        better = segment_max(scalar, model.offsets) > kept + _TIE * (1 + np.abs(kept))
        if not better.any():
            return policy, q
        policy = np.where(better[model.state], greedy(model, scalar), policy)


def value_iteration(
    model: TabularModel, weights: Floats, discount: float, error: float = 1e-10
) -> Floats:
    """Optimal q of the weighted sum, shape (P,), to within ``error``, by sweeps over all pairs.

    It stops where a sweep changes no value by more than error (1 - discount) / discount: Puterman,
    theorem 6.3.1.

    Raises:
        ValueError: the discount is not in [0, 1).
    """
    if not 0 <= discount < 1:
        raise ValueError(f"the discount must be in [0, 1); got {discount}")
    reward = model.reward @ weights
    q, change = reward, np.inf
    while discount * change > error * (1 - discount):
        following = reward + discount * model.transition @ segment_max(q, model.offsets)
        q, change = following, float(np.abs(following - q).max())
    return q


def start_value(model: TabularModel, policy: Floats, discount: float) -> Floats:
    """Discounted sum of each objective from the first state on, shape (m,)."""
    q = policy_evaluation(model, policy, discount)
    return np.asarray(model.start @ state_values(model, policy, q), np.float64)


def normalised_regret(
    model: TabularModel, policy: Floats, weights: Floats, discount: float
) -> float:
    """(V* - V) / (V* - V of the uniform policy): 0 is optimal, 1 as good as chance.

    Raises:
        ValueError: the uniform policy is optimal, so there is nothing to lose.
    """
    best, even, own = (
        float(start_value(model, p, discount) @ weights)
        for p in (policy_iteration(model, weights, discount)[0], uniform(model), policy)
    )
    if best - even <= _TIE * (1 + abs(best)):
        raise ValueError("no policy is better than the uniform one: regret means nothing here")
    return (best - own) / (best - even)
