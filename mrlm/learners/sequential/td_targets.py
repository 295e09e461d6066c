"""What Q is regressed on: rewards, and the discounted value of what follows.

Targets have no gradient. A decision that ends its session has its reward and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mrlm.learners.sequential.experience import Experience

BatchScores = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of flat positions and their mask, each (b, k): something of every candidate, shape (b, k)."""


def double_target(
    network: nn.Module,
    target: nn.Module,
    seen: Experience,
    index: torch.Tensor,
    discount: float,
    steps: int = 1,
    allowed: torch.Tensor | None = None,
) -> torch.Tensor:
    """Reward plus the discounted value of the next decision's best candidate, shape (b,).

    The best is chosen by one network and valued by the other: van Hasselt, Guez and Silver, Deep
    reinforcement learning with double Q-learning, 2016. With more than one step the rewards of the
    session are added up for as long as it went on with the best candidate, so that what another
    policy did afterwards never enters: Watkins, Learning from delayed rewards, 1989.

    Args:
        network: chooses the next action, in evaluation mode.
        target: values it.
        seen: the whole log.
        index: int64, shape (b,), decisions.
        discount: in [0, 1).
        steps: the most rewards that are added up.
        allowed: bool, shape (N,), candidates that may be chosen; None allows all. Each decision
            has one.
    """
    goal = seen.reward[index].clone()
    if discount == 0.0:
        return goal
    network.eval()
    row, following, factor = torch.arange(len(index)), seen.following[index], discount
    with torch.no_grad():
        for step in range(1, steps + 1):
            there = following >= 0
            row, following = row[there], following[there]
            if len(row) == 0:
                break
            place, mask = seen.sets.places(following)
            scores = seen.sets.scores(network, place, mask)
            if allowed is not None:
                scores = scores.masked_fill(~allowed[place], -torch.inf)
            best = scores.argmax(1, keepdim=True)
            # Where the log does not hold what came after, the sum ends before it.
            on = seen.counted[following] & (seen.action[following] == best[:, 0]) & (step < steps)
            chosen = (place.gather(1, best)[~on], mask.gather(1, best)[~on])
            if len(chosen[0]):
                goal[row[~on]] += factor * seen.sets.scores(target, *chosen)[:, 0]
            row, at = row[on], following[on]
            goal[row] += factor * seen.reward[at]
            following, factor = seen.following[at], factor * discount
    return goal


def expected_target(
    target: nn.Module,
    policy: BatchScores,
    seen: Experience,
    index: torch.Tensor,
    discount: float,
) -> torch.Tensor:
    """Reward plus the discounted expectation of Q under a policy in the next decision, (b,).

    Args:
        target: gives Q.
        policy: probabilities of candidates, 0 on pads.
        seen: the whole log.
        index: int64, shape (b,), decisions.
        discount: in [0, 1).
    """
    goal = seen.reward[index].clone()
    rows = torch.nonzero(seen.following[index] >= 0)[:, 0]
    if len(rows) and discount:
        with torch.no_grad():
            place, mask = seen.sets.places(seen.following[index[rows]])
            q = seen.sets.vectors(target, place, mask)[:, :, 0]
            goal[rows] += discount * (policy(place, mask) * q).sum(1)
    return goal


def squared_error(
    predicted: torch.Tensor, goal: torch.Tensor, counted: torch.Tensor
) -> torch.Tensor:
    """Mean of half the squared error where ``counted``, a scalar.

    Squared and not Huber's, whose minimum is no expectation: of a reward that is seldom and large
    it misses most.

    Args:
        predicted: shape (b,) or (b, m).
        goal: the same shape.
        counted: bool, shape (b,): False where the goal is not known.
    """
    error = 0.5 * (predicted - goal).square()
    # Sums over the outputs, means over the rows.
    rows = error.reshape(len(error), -1).sum(1) * counted
    return rows.sum() / counted.sum().clamp(min=1)
