"""The lower bound of a single policy, maximised over all of them without correction."""

from __future__ import annotations

from scipy.special import ndtri

from mrlm.messages.message import Message
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.strategies.contract import Proposal
from mrlm.meta.strategies.pessimistic_bound import searched


class NormalBound:
    """The point with the largest one-sided 95 % bound, as if it had been the only one.

    Jeunen et al., Multi-objective recommendation via multivariate policy learning, RecSys 2024,
    learn weights by such a bound. Over many directions it is far from a bound of the one chosen.
    """

    name = "normal_bound"

    def propose(self, task: TuningTask, previous: Vector | None, seed: int) -> Proposal:
        """See ``Strategy``."""
        step = searched(task, float(ndtri(0.95)), previous, seed)
        reason = Message("the lower bound of one policy's lift is {bound:.4g}", bound=step.bound)
        return Proposal(
            step.point, step.bound > 0, reason, step.z, step.evaluations, step.limited_by
        )
