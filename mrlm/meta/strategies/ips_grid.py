"""A grid of weights on the newest night's importance-weighted rewards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrlm.messages.message import Message
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.strategies.contract import Proposal
from mrlm.meta.strategies.simplex_grid import best_on_grid


class IpsGrid:
    """The best of a grid by the clipped importance-weighted mean of the newest night.

    No predictions, no older nights, no allowance for noise or for having looked at many points:
    good where the north star is loud, and after a change.
    """

    name = "ips_grid"

    def propose(self, task: TuningTask, previous: Vector | None, seed: int) -> Proposal:
        """See ``Strategy``."""
        newest = task.problem.rounds(np.flatnonzero(task.problem.age == task.problem.age.min()))
        observed = replace(newest, q=np.zeros_like(newest.q))
        point, value = best_on_grid(TuningTask.of(observed, task.settings), 0.0)
        if value <= 0 or not task.permits(point):
            stays = Message("no permitted point of the grid has a larger importance-weighted mean")
            return Proposal(task.policy.champion_point, False, stays)
        reason = Message("the newest night's importance-weighted lift is {value:.4g}", value=value)
        return Proposal(point, True, reason)
