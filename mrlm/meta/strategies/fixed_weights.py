"""Equal weights of all objectives, whatever the log says."""

from __future__ import annotations

import numpy as np

from mrlm.messages.message import Message
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.strategies.contract import Proposal
from mrlm.meta.strategies.sharpened import as_sharp_as_permitted


class FixedWeights:
    """Every objective's head has the same weight, as sharp as the limits allow."""

    name = "fixed_weights"

    def propose(self, task: TuningTask, previous: Vector | None, seed: int) -> Proposal:
        """See ``Strategy``."""
        served = np.array([float(s is not None) for s in task.problem.serves])
        return as_sharp_as_permitted(task, served, Message("every objective has the same weight"))
