"""The best weights in hindsight: what no learner can know."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, brentq, minimize

from mrlm.worlds.weighing.weighing_world import Floats, WeighingWorld, softmax_with_floor

# A softmax of standardised objectives whose weights sum to 64 is greedy but for ties.
LARGEST = 64.0


def sharpest_weights(
    world: WeighingWorld, objectives: Floats, direction: Floats, least_entropy: float
) -> Floats:
    """Weights along a direction, as sharp as a mean entropy lets them be.

    Args:
        world: with its number of candidates and its exploration floor.
        objectives: shape (N, m), N = n * candidates.
        direction: shape (m,), not negative.
        least_entropy: of the policy with its floor, mean over decisions, nats.
    """
    direction = direction / direction.sum()

    def excess(scale: float) -> float:
        policy = softmax_with_floor(objectives @ direction * scale, world.candidates, world.floor)
        return _entropy(policy, world.candidates) - least_entropy

    if excess(LARGEST) >= 0:
        return direction * LARGEST
    return np.asarray(direction * brentq(excess, 0.0, LARGEST, xtol=1e-3))


def best_weights(
    world: WeighingWorld, objectives: Floats, truth: Floats, start: Floats, least_entropy: float
) -> Floats:
    """Weights theta >= 0 whose softmax of theta . objectives has the largest true value.

    Maximised by SLSQP with exact gradients over all policies of at least this entropy and a sum of
    theta of at most ``LARGEST``.

    Args:
        world: with its number of candidates and its exploration floor.
        objectives: shape (N, m), N = n * candidates.
        truth: shape (N,), expected north star.
        start: shape (m,), not negative, a direction to search from.
        least_entropy: mean over decisions, nats.

    Returns:
        Theta, shape (m,).
    """
    k, m, floor = world.candidates, objectives.shape[1], world.floor
    n = len(truth) // k

    def pulled(theta: Floats, by_probability: Floats, soft: Floats) -> Floats:
        table = by_probability.reshape(n, k)
        mean = (soft * table).sum(axis=1, keepdims=True)
        found: Floats = (1 - floor) * (soft * (table - mean)).reshape(-1) @ objectives / n
        return found

    def value(theta: Floats) -> tuple[float, Floats]:
        soft = softmax_with_floor(objectives @ theta, k, 0.0).reshape(n, k)
        mixed = (1 - floor) * soft.reshape(-1) + floor / k
        return -float(mixed @ truth) / n, -pulled(theta, truth, soft)

    def entropy(theta: Floats) -> tuple[float, Floats]:
        soft = softmax_with_floor(objectives @ theta, k, 0.0).reshape(n, k)
        mixed = (1 - floor) * soft.reshape(-1) + floor / k
        gradient = pulled(theta, -(np.log(mixed) + 1), soft)
        return _entropy(mixed, k) - least_entropy, gradient

    found = minimize(
        value,
        sharpest_weights(world, objectives, start, least_entropy),
        jac=True,
        method="SLSQP",
        bounds=Bounds(np.zeros(m), np.full(m, LARGEST)),
        constraints=[
            {"type": "ineq", "fun": lambda t: entropy(t)[0], "jac": lambda t: entropy(t)[1]},
            {"type": "ineq", "fun": lambda t: LARGEST - t.sum(), "jac": lambda t: -np.ones(m)},
        ],
        options={"maxiter": 60, "ftol": 1e-6},
    )
    # The solver may end just outside of what is allowed, or just inside.
    return sharpest_weights(world, objectives, np.clip(found.x, 0, LARGEST), least_entropy)


def _entropy(policy: NDArray[np.float64], candidates: int) -> float:
    return -float(policy @ np.log(policy)) * candidates / len(policy)
