"""A grid of weights on the lower bound of the doubly robust lift."""

from __future__ import annotations

from mrlm.messages.message import Message
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.strategies.contract import Proposal
from mrlm.meta.strategies.simplex_grid import best_on_grid

# One standard error: what users of such grids take, with no regard to how many points there are.
_Z = 1.0


class BoundGrid:
    """The best of a grid by the doubly robust lift less one standard error, on the whole window."""

    name = "bound_grid"

    def propose(self, task: TuningTask, previous: Vector | None, seed: int) -> Proposal:
        """See ``Strategy``."""
        point, bound = best_on_grid(task, _Z)
        reason = Message(
            "the best of a grid has a lift less one standard error of {bound:.4g}", bound=bound
        )
        return Proposal(point, bound > 0, reason, z=_Z)
