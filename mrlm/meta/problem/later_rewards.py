"""A problem whose rewards count what comes after a decision too, under the champion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mrlm.bandit_log.ragged import segment_sum
from mrlm.meta.problem.tuning_problem import TuningProblem


def with_later_rewards(
    problem: TuningProblem,
    value: NDArray[np.float64],
    following: NDArray[np.int64],
    truncated: NDArray[np.bool_],
    discount: float,
) -> TuningProblem:
    """Each reward with the champion's discounted value of the next decision added.

    With r + discount V(s') as the reward and Q as its prediction, the paired doubly robust lift of
    a policy is its doubly robust one-step advantage over the champion, averaged over the champion's
    states: the first order of the difference of their values (Kakade and Langford, "Approximately
    optimal approximate reinforcement learning", ICML 2002, lemma 6.1). What it leaves out grows
    with the square of the step, so a KL cap has to hold: ``problem.horizon`` names a column, or
    ``kl_cap`` is ``always``.

    Values of one policy add up over objectives, optimal ones do not: Q is the champion's alone, the
    step is one improvement, and nights of this are policy iteration.

    Args:
        problem: n rounds in which sessions are whole; N candidates, m objectives.
        value: the champion's discounted sum of each objective after each candidate, fitted on other
            users or nights, float64, shape (N, m).
        following: place of the next round of the session, int64, shape (n,); -1 where none follows.
        truncated: bool, shape (n,), something may follow that is not among the rounds: the reward
            is unknown then.
        discount: of the next decision, in [0, 1).

    Raises:
        ValueError: the discount is not in [0, 1), or shapes do not fit.
    """
    if not 0 <= discount < 1:
        raise ValueError(f"the discount must be in [0, 1); got {discount}")
    n = len(problem.propensity)
    if following.shape != (n,) or truncated.shape != (n,) or value.shape != problem.q.shape:
        raise ValueError(
            f"following and truncated must have shape {(n,)} and value {problem.q.shape}; got "
            f"{following.shape}, {truncated.shape} and {value.shape}"
        )
    state_value = segment_sum(problem.champion[:, None] * value, problem.offsets)
    later = np.where((following >= 0)[:, None], state_value[following], 0.0)
    rewards = problem.rewards + discount * later
    rewards[truncated] = np.nan
    return replace(problem, rewards=rewards, q=value)
