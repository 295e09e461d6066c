"""Equal weights of all objectives, whatever the log says."""

from __future__ import annotations

import numpy as np

from mrlm.meta.policy import Vector
from mrlm.meta.strategies.contract import Proposal
from mrlm.meta.strategies.sharpened import as_sharp_as_permitted
from mrlm.meta.tuning_task import TuningTask


class FixedWeights:
    """Every objective's head has the same weight, as sharp as the limits allow."""

    name = "fixed_weights"

    def propose(self, task: TuningTask, previous: Vector | None, seed: int) -> Proposal:
        """See ``Strategy``."""
        served = np.array([float(s is not None) for s in task.problem.serves])
        return as_sharp_as_permitted(task, served, "every objective has the same weight")
