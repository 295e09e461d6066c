"""Rewards that count what follows in the session, of the objectives that are returns.

A return is an unbiased sample of the Q of the policy that made the log: its head is the evaluation
of the logger by Monte Carlo (Sutton and Barto, Reinforcement Learning, 2018, chapter 5), and the
doubly robust lift of another policy is the first order of the difference of both values (Kakade and
Langford, "Approximately optimal approximate reinforcement learning", ICML 2002, lemma 6.1). What
that leaves out grows with the square of the step.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.bandit_log.bandit_log import BanditLog
from mrlm.bandit_log.own_rewards import OwnRewards
from mrlm.bandit_log.sessions.later_requests import LaterRequests


def with_returns(log: BanditLog) -> BanditLog:
    """The log with the returns of its objectives that have a discount; others stay as they are.

    A return is final only where every reward that it adds up is, and unknown where one of them is.
    The slots of a request are at one step: a slot has its own reward, not that of its neighbours,
    and those of all slots of later requests. So the lifts of a list's slots add up to that of the
    list, while the level counts the future once for each slot.

    Args:
        log: whole sessions, rewards as each decision brought them.

    Raises:
        ValueError: the log has returns already.
    """
    returns = [j for j, o in enumerate(log.objectives) if o.is_return]
    if not returns:
        return log
    if log.own is not None:
        raise ValueError("the log has returns already: they would count what follows twice")
    later = LaterRequests.of(log)
    rewards, final, unknown = log.rewards.copy(), log.final.copy(), log.unknown.copy()
    for j in returns:
        rewards[:, j] = later.returns(rewards[:, j], log.objectives[j].discount)
        final[:, j] = later.returns((~final[:, j]).astype(np.float64), 1.0) == 0
        unknown[:, j] = later.returns(unknown[:, j].astype(np.float64), 1.0) > 0
    own = OwnRewards(log.rewards, log.final, log.unknown)
    return replace(log, rewards=rewards, final=final, unknown=unknown, own=own)
