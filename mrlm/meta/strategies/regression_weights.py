"""Weights by regression of the north star on the other objectives."""

from __future__ import annotations

import numpy as np

from mrlm.bandit_log.objectives import north_star
from mrlm.messages.message import Message
from mrlm.meta.problem.tuned_softmax import Vector
from mrlm.meta.search.tuning_task import TuningTask
from mrlm.meta.strategies.contract import Proposal
from mrlm.meta.strategies.sharpened import as_sharp_as_permitted


class RegressionWeights:
    """What the observed objectives say of the observed north star, by least squares.

    The weights of a head are the coefficient of its objective, in units of the head's deviation,
    where it is positive. Whoever asks how much a click is worth does this first. It answers another
    question: how well an objective that was *seen* predicts the north star, not what choosing by
    its *predicted* value brings.
    """

    name = "regression_weights"

    def propose(self, task: TuningTask, previous: Vector | None, seed: int) -> Proposal:
        """See ``Strategy``."""
        problem = task.problem
        names, star = problem.names, north_star(problem.objectives).name
        others = [j for j, n in enumerate(names) if n != star and n in problem.serves]
        rows = np.isfinite(problem.rewards).all(axis=1)
        weights = np.zeros(len(problem.columns))
        if others and rows.sum() > len(others):
            design = np.column_stack([problem.rewards[rows][:, others], np.ones(rows.sum())])
            root = np.sqrt(problem.weight[rows])
            target = problem.rewards[rows, names.index(star)]
            found = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)[0]
            for j, coefficient in zip(others, found[:-1], strict=True):
                size = max(float(coefficient), 0.0) * float(problem.q[:, j].std())
                weights[[s == names[j] for s in problem.serves]] = size
        return as_sharp_as_permitted(
            task,
            weights,
            Message("the regression of {objective} on the other objectives", objective=star),
        )
